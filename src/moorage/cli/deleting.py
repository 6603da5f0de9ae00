"""Runs of ``moorage tag delete``: by our own API, which can be undone; where there is none, tag by tag."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from moorage.api.history_answers import TagsDeleted, TagState
from moorage.client.contents import manifest_path
from moorage.client.registry import CommandFailed, Remote

_STEP = 2000
"""Tags that one request deletes, so that there is progress to be seen."""
_MANIFESTS = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*"


@dataclass(slots=True, kw_only=True)
class _Deleted:
    """The result of all requests together, and the same as scripts are told it."""

    deleted: int
    kept: int | None
    """None: nobody said."""
    protected: int
    request_id: str | None
    """None: it cannot be taken back."""
    shown: Mapping[str, object]
    missing: Sequence[str] = ()
    moved: Sequence[str] = ()
    """Names of tags that somebody pushed after the look at them; they stay."""
    changed: int = 0
    """Tags that a pattern chose, and that others pushed or deleted before their turn."""


def delete_tags(
    remote: Remote,
    repository: str,
    selection: Mapping[str, Any],
    *,
    dry_run: bool,
    as_json: bool,
    way_back: Callable[[str], str],
) -> None:
    """Delete the tags of *selection*, and say what was done; *way_back* makes the command that undoes a request.

    Raises:
        CommandFailed: the registry refused, or a tag that was named is not there or was moved; the others are deleted.
    """
    names: Sequence[str] = selection.get("tags", ())
    missing = _missing(remote, repository, selection)
    if missing is None and not names:
        msg = "--matching needs a Moorage registry with a database; here, name the tags"
        raise CommandFailed(msg)
    if missing is None:
        found = _delete_one_by_one(remote, repository, names, dry_run=dry_run)
        missing = found.missing
    elif dry_run:
        found = _try(remote, repository, selection)
    else:
        found = _delete(remote, repository, selection)
    if as_json:
        print(json.dumps(found.shown, indent=2))
    else:
        _print_deleted(found, dry_run=dry_run, way_back=way_back)
    left = [f"{repository} has no tag {', '.join(missing)}"] if missing else []
    if found.moved:
        named = ", ".join(f"{repository}:{name}" for name in found.moved)
        left.append(f"somebody pushed meanwhile, so it was not deleted; look at it again: {named}")
    if left:
        raise CommandFailed("; ".join(left), status=3 if found.moved else 1)


def _try(remote: Remote, repository: str, selection: Mapping[str, Any]) -> _Deleted:
    answer = remote.post("tags/delete", {**selection, "dry_run": True}, repository=repository)
    one = answer.read(TagsDeleted)
    return _Deleted(
        deleted=one.deleted, kept=one.kept, protected=one.protected, request_id=one.request_id, shown=answer.value
    )


def _missing(remote: Remote, repository: str, selection: Mapping[str, Any]) -> Sequence[str] | None:
    """The tags of *selection* that are named and not there; None: the registry has no API of ours."""
    names: Sequence[str] = selection.get("tags", ())
    bodies = [selection] if not names else _steps(selection, len(names))
    try:
        unknown = sum(
            remote.post("tags/delete", {**body, "dry_run": True}, repository=repository).read(TagsDeleted).unknown
            for body in bodies
        )
    except CommandFailed as exc:
        if _is_absent(exc):
            return None
        raise
    if not unknown:
        return ()
    states = ((name, remote.get("tag", repository=repository, tag=name).read(TagState)) for name in names)
    return [name for name, state in states if state.digest is None]


def _is_absent(exc: CommandFailed) -> bool:
    """Return whether our API is missing: Moorage without a database says so, and others do not know the path."""
    return exc.code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


def _delete_one_by_one(remote: Remote, repository: str, names: Sequence[str], *, dry_run: bool) -> _Deleted:
    """Delete as the specification has it. There is no history, so it cannot be undone."""
    missing, moved = [], []
    for name in names:
        path = manifest_path(repository, name)
        try:
            # Asked for first: there are registries that say only that they cannot delete a tag.
            seen = remote.fetch(path, method="HEAD", accept=_MANIFESTS)
            if not dry_run:
                remote.fetch(path, method="DELETE", only_if=seen.headers.get("Docker-Content-Digest"))
        except CommandFailed as exc:
            if exc.code == HTTPStatus.PRECONDITION_FAILED:
                moved.append(name)
                continue
            if exc.code != HTTPStatus.NOT_FOUND:
                msg = f"{repository}:{name} cannot be deleted: {exc}"
                raise CommandFailed(msg, code=exc.code) from None
            missing.append(name)
    deleted = len(names) - len(missing) - len(moved)
    sums = {"deleted": deleted, "kept": None, "protected": 0, "missing": missing, "moved": moved, "request_id": None}
    return _Deleted(deleted=deleted, kept=None, protected=0, request_id=None, missing=missing, moved=moved, shown=sums)


def _print_deleted(found: _Deleted, *, dry_run: bool, way_back: Callable[[str], str]) -> None:
    kept = "" if found.kept is None else f", {found.kept:,} kept"
    print(f"{found.deleted:,} {'would be ' if dry_run else ''}deleted{kept}")
    if found.protected:
        print(f"{found.protected} are protected and stay")
    if found.changed:
        print(f"{found.changed} left as they are now, as somebody pushed or deleted them meanwhile")
    if found.deleted and not dry_run and found.request_id:
        print(f"undo with: {way_back(found.request_id)}")


def _delete(remote: Remote, repository: str, selection: Mapping[str, Any]) -> _Deleted:
    """Delete in steps that share a request id, and show how far it is."""
    from moorage.cli.bars import Bars  # noqa: PLC0415 - other commands need not wait for rich

    request_id = os.urandom(16).hex()
    names: list[str] | None = selection.get("tags")
    total = len(names) if names is not None else _try(remote, repository, selection).deleted
    deleted = kept = protected = unknown = changed = 0
    with Bars(counts=True, is_transient=True) as bars:
        bars.begins("deleting", total)
        for body in _steps(selection, total):
            answer = remote.post("tags/delete", body, request_id=request_id, repository=repository)
            found = answer.read(TagsDeleted)
            deleted += found.deleted
            unknown += found.unknown
            changed += found.changed
            # Each step by pattern meets those that stay anew.
            kept = found.kept
            protected = found.protected + (protected if names is not None else 0)
            bars.moved("deleting", deleted + unknown + (protected if names is not None else 0))
            if names is None and not found.more:
                break
    counts = {"deleted": deleted, "kept": kept, "protected": protected, "unknown": unknown, "changed": changed}
    return _Deleted(
        deleted=deleted,
        kept=kept,
        protected=protected,
        request_id=request_id,
        changed=changed,
        shown={"request_id": request_id, "dry_run": False, **counts},
    )


def _steps(selection: Mapping[str, Any], total: int) -> Iterator[Mapping[str, Any]]:
    names = selection.get("tags")
    if names is None:
        # One more than the count needs: tags may be pushed meanwhile.
        yield from ({**selection, "limit": _STEP} for _ in range(total // _STEP + 2))
        return
    for start in range(0, total, _STEP):
        yield {"tags": names[start : start + _STEP]}
