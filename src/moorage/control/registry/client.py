"""The registry as the control plane asks it: by GitLab's API where it is there, else by what every registry has."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from moorage.control.registry import distribution_api as distribution
from moorage.control.registry import gitlab_api as gitlab
from moorage.control.registry.gitlab_api import PAGE_LIMIT, SizeExtent, TagSort
from moorage.control.registry.moorage_api import MoorageCalls
from moorage.control.registry.registry_errors import RegistryIsOther, RegistryRefused, RegistryTagChanged, TooManyPages
from moorage.control.registry.registry_values import (
    RegistryInfo,
    RemoteManifest,
    RemoteTag,
    RemoteTagPage,
    RenameResult,
    RepositoryPage,
    RepositoryState,
)
from moorage.control.registry.state_calls import StateCalls
from moorage.control.registry.transport import RegistryTransport
from moorage.oci.names import RepositoryName, Tag, parse_stored_reference

AnyPage = TypeVar("AnyPage", RepositoryPage, RemoteTagPage)

INFO_S = 300.0
"""Seconds for which it is remembered what a registry can do."""


class ControlRegistry:
    """One registry. Repository names and tags are checked before anything is sent; threads share it.

    Each method raises:
        RegistryUnreachable: the registry does not answer, or not in time.
        RegistryRefused: it answers with an error that the method does not name.
        RegistryNonsense: its answer makes no sense.
        NameInvalid, TagInvalid, DigestInvalid: what is asked for can be in no registry.
    """

    def __init__(self, transport: RegistryTransport, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._transport = transport
        self._clock = clock
        self._lock = threading.Lock()
        self._info: tuple[float, RegistryInfo] | None = None
        self.moorage = MoorageCalls(transport)
        """Calls of the API that only Moorage has."""
        self.state = StateCalls(transport)
        """Those of them that are about the registry itself."""

    def close(self) -> None:
        """Close its connections."""
        self._transport.close()

    def info(self, *, is_fresh: bool = False) -> RegistryInfo:
        """Return what the registry is and can do; remembered for a while unless it has to be *is_fresh*."""
        with self._lock:
            known = self._info
        if known is not None and not is_fresh and self._clock() - known[0] < INFO_S:
            return known[1]
        found = distribution.show_registry(self._transport)
        found = replace(found, has_gitlab_api=gitlab.is_there(self._transport))
        with self._lock:
            self._info = (self._clock(), found)
        return found

    def catalogue(self) -> Iterator[str]:
        """Yield the names of all repositories that the registry has.

        Raises:
            TooManyPages: there is no end.
        """
        return distribution.list_catalogue(self._transport)

    def repository(self, path: str, *, size: SizeExtent = "") -> RepositoryState | None:
        """Return what is known of a repository; None: the registry does not know it, or has no GitLab API."""
        name = _name(path)
        return gitlab.show_repository(self._transport, name, size=size) if self.info().has_gitlab_api else None

    def repositories(self, path: str, *, limit: int = PAGE_LIMIT, last: str = "") -> RepositoryPage:
        """Return a page of the repositories that have a tag: *path*, and all below it.

        Raises:
            RegistryIsOther: there is no GitLab API.
        """
        self._check_gitlab("repositories below a path")
        return gitlab.list_repositories(self._transport, _name(path), limit=limit, last=last)

    def all_repositories(self, path: str) -> Iterator[RepositoryState]:
        """Yield the repositories that have a tag: *path*, and all below it.

        Raises:
            RegistryIsOther: there is no GitLab API.
            TooManyPages: there is no end.
        """
        for page in _pages(lambda last: self.repositories(path, last=last), f"repositories below {path}"):
            yield from page.repositories

    def tags(
        self,
        path: str,
        *,
        limit: int = 100,
        last: str = "",
        before: str = "",
        sort: TagSort = "name",
        name: str = "",
        has_referrers: bool = False,
        referrer_types: Sequence[str] = (),
    ) -> RemoteTagPage:
        """Return a page of tags with their details, as :class:`RemoteTagPage` says how to go on.

        At most 1,000, those that have *name* in theirs; *has_referrers* brings manifests about each, of
        *referrer_types* if any are given.

        Raises:
            RegistryIsOther: there is no GitLab API.
        """
        self._check_gitlab("pages of tags")
        query = {
            "n": str(limit),
            "last": last,
            "before": before,
            "sort": sort,
            "name": name,
            "referrers": "true" if has_referrers else "",
            "referrer_type": ",".join(referrer_types),
        }
        return gitlab.list_tags(self._transport, _name(path), query)

    def all_tags(self, path: str, *, sort: TagSort = "name") -> Iterator[RemoteTag]:
        """Yield all tags: with details where there is GitLab's API, else with their names only, sorted.

        Raises:
            TooManyPages: there is no end.
        """
        if not self.info().has_gitlab_api:
            yield from (RemoteTag(name=found) for found in distribution.list_tag_names(self._transport, _name(path)))
            return
        for page in _pages(lambda last: self.tags(path, limit=PAGE_LIMIT, last=last, sort=sort), f"tags of {path}"):
            yield from page.tags

    def tag_names(self, path: str, *, limit: int | None = None) -> list[str]:
        """Return the names of all tags, sorted; the first ones if there are more than *limit*."""
        return list(itertools.islice(distribution.list_tag_names(self._transport, _name(path)), limit))

    def tag(self, path: str, name: str) -> RemoteTag | None:
        """Return one tag with its details; None: there is no such tag."""
        repository, tag = _name(path), Tag.parse_stored(name).text
        if not self.info().has_gitlab_api:
            return distribution.show_tag(self._transport, repository, tag)
        return gitlab.show_tag(self._transport, repository, tag)

    def manifest(self, path: str, reference: str) -> RemoteManifest | None:
        """Return a manifest by its tag or digest, checked against its digest; None: there is none."""
        return distribution.show_manifest(self._transport, _name(path), str(parse_stored_reference(reference)))

    def blob(self, path: str, digest: str) -> bytes | None:
        """Return a small blob, such as an image's configuration, checked against its digest; None: there is none."""
        return distribution.show_blob(self._transport, _name(path), str(parse_stored_reference(digest)))

    def has_blob(self, path: str, digest: str) -> bool:
        """Return whether a repository has a blob: whether something in it needs it, or did until garbage collection."""
        return distribution.has_blob(self._transport, _name(path), str(parse_stored_reference(digest)))

    def tag_digest(self, path: str, name: str) -> str:
        """Return the digest that a tag points to at this moment; empty: there is no such tag."""
        return distribution.show_digest(self._transport, _name(path), Tag.parse_stored(name).text)

    def make_tag(self, path: str, name: str, manifest: RemoteManifest) -> bool:
        """Point a tag that is not there at a manifest of the repository; False: it is there, and was left as it is.

        Moorage's registry looks and writes in one step. Others look at no condition: there a push between the two is
        written over.
        """
        if self.tag_digest(path, name):
            return False
        with suppress(RegistryTagChanged):
            distribution.push_manifest(self._transport, _name(path), manifest, Tag.parse_stored(name).text, is_new=True)
            return True
        return False

    def can_delete_tag(self, path: str, name: str) -> bool:
        """Return whether the registry says that it deletes tags."""
        return distribution.can_delete_tag(self._transport, _name(path), Tag.parse_stored(name).text)

    def delete_tag(self, path: str, name: str, *, seen: str = "") -> bool:
        """Delete a tag, and nothing else; False: there was none, or it points elsewhere than to *seen*.

        *seen*: a digest; empty: the tag goes whatever it points to. Moorage's registry looks and deletes in one step,
        with others a push between the two is lost.
        With a registry that deletes only manifests, the tag is pointed at an empty image first.
        """
        repository, tag = _name(path), Tag.parse_stored(name).text
        if seen and self.tag_digest(path, name) != seen:
            return False
        try:
            return distribution.delete_tag(self._transport, repository, tag, seen=seen)
        except RegistryTagChanged:
            return False
        except RegistryRefused as exc:
            if self.info().can_delete_tags or not distribution.deletes_no_tags(exc):
                raise
        # Such a registry refuses before it looks: a tag that is not there must not be made.
        found = distribution.show_manifest(self._transport, repository, tag)
        if found is None or found.digest != (seen or found.digest):
            return False
        with suppress(RegistryTagChanged):
            distribution.replace_and_delete(self._transport, repository, tag, seen=found.digest)
            return True
        return False

    def delete_manifest(self, path: str, digest: str) -> bool:
        """Delete a manifest, and all tags that point to it; False: there was none."""
        return distribution.delete_manifest(self._transport, _name(path), str(parse_stored_reference(digest)))

    def rename(self, path: str, *, name: str = "", namespace: str = "", is_dry_run: bool = False) -> RenameResult:
        """Rename *path* and all below it to another last part, or move it to another namespace: give one of the two.

        Raises:
            RegistryIsOther: there is no GitLab API.
            ValueError: none or both are given.
        """
        if bool(name) == bool(namespace):
            msg = "a rename has either a name or a namespace"
            raise ValueError(msg)
        self._check_gitlab("a rename")
        return gitlab.rename(self._transport, _name(path), name=name, namespace=namespace, is_dry_run=is_dry_run)

    def renames_at_top(self) -> bool:
        """Return whether a top-level path can be renamed: by Moorage's own registry, for sure by no other.

        GitLab's leaves what was below it with the old namespace.
        """
        return gitlab.is_moorage(self._transport)

    def _check_gitlab(self, what: str) -> None:
        if not self.info().has_gitlab_api:
            msg = f"{what}: the registry has no GitLab API, or no metadata database"
            raise RegistryIsOther(msg)


def _name(path: str) -> str:
    """*path*, which goes into a URL as it is."""
    return RepositoryName.parse_stored(path).text


def _pages(ask: Callable[[str], AnyPage], what: str) -> Iterator[AnyPage]:
    """All pages, each asked for with the mark of the one before."""
    last = ""
    for _ in range(distribution.PAGES_LIMIT):
        page = ask(last)
        yield page
        if not page.after:
            return
        last = page.after
    msg = f"the list of {what} does not end"
    raise TooManyPages(msg)
