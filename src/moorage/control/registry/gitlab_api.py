"""Calls of ``/gitlab/v1/``, for a registry that has it.

Source: GitLab features V1A-001 to V1A-028; RCL-006, RCL-007.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal

from moorage.control.registry import internal_access as access
from moorage.control.registry import reading_answers as reading
from moorage.control.registry.registry_errors import RegistryReadOnly, RegistryUnknown
from moorage.control.registry.registry_values import (
    RemoteTag,
    RemoteTagPage,
    RenameAnswer,
    RenameResult,
    RepositoryPage,
    RepositoryState,
)
from moorage.control.registry.transport import RegistryTransport, RemoteAnswer

PAGE_LIMIT = 1000

SizeExtent = Literal["", "self", "self_with_descendants"]
TagSort = Literal["name", "-name", "published_at", "-published_at"]

_RENAME_ANSWERS = {
    HTTPStatus.ACCEPTED: RenameAnswer.ACCEPTED,
    HTTPStatus.NO_CONTENT: RenameAnswer.DONE,
    HTTPStatus.BAD_REQUEST: RenameAnswer.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED: RenameAnswer.UNAUTHORIZED,
    HTTPStatus.NOT_FOUND: RenameAnswer.NOT_FOUND,
    HTTPStatus.CONFLICT: RenameAnswer.NAME_TAKEN,
    HTTPStatus.UNPROCESSABLE_ENTITY: RenameAnswer.TOO_MANY_REPOSITORIES,
}
_JSON = {"Content-Type": "application/json"}


def is_there(transport: RegistryTransport) -> bool:
    """Return whether the registry has this API; one that asks for other credentials has it too.

    Raises:
        RegistryRefused: it says neither.
    """
    answer = transport.send("GET", "/gitlab/v1/", access=access.nothing())
    if answer.is_good or answer.status == HTTPStatus.UNAUTHORIZED:
        return True
    # A server error says nothing about what the registry has.
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise answer.error()
    return False


def is_moorage(transport: RegistryTransport) -> bool:
    """Return whether the registry is Moorage's, by the API that no other has."""
    return transport.send("GET", "/moorage/v1/openapi.json", access=access.nothing()).is_good


def show_repository(transport: RegistryTransport, path: str, *, size: SizeExtent = "") -> RepositoryState | None:
    """Return what is known of a repository, and its *size* if asked; None: the registry does not know it."""
    wanted = access.pulling_below(path) if size == "self_with_descendants" else access.pulling(path)
    try:
        answer = transport.ask("GET", f"/gitlab/v1/repositories/{path}/", access=wanted, query={"size": size})
    except RegistryUnknown:
        return None
    return reading.repository_of(reading.fields(answer.json()))


def show_tag(transport: RegistryTransport, path: str, tag: str) -> RemoteTag | None:
    """Return the details of a tag; None: there is no such tag."""
    try:
        answer = transport.ask("GET", f"/gitlab/v1/repositories/{path}/tags/detail/{tag}/", access=access.pulling(path))
    except RegistryUnknown:
        return None
    return reading.detailed_tag(reading.fields(answer.json()))


def list_tags(transport: RegistryTransport, path: str, query: Mapping[str, str]) -> RemoteTagPage:
    """Return a page of tags, by parameters of the API; a repository that is not known has none."""
    try:
        answer = transport.ask(
            "GET", f"/gitlab/v1/repositories/{path}/tags/list/", access=access.pulling(path), query=query
        )
    except RegistryUnknown:
        return RemoteTagPage(tags=())
    return RemoteTagPage(
        tags=[reading.listed_tag(item) for item in reading.items(answer.json())],
        after=answer.marker("next", "last"),
        before=answer.marker("previous", "before"),
    )


def list_repositories(transport: RegistryTransport, path: str, *, limit: int, last: str = "") -> RepositoryPage:
    """Return a page of the repositories that have a tag, *path* and all below it."""
    try:
        answer = transport.ask(
            "GET",
            f"/gitlab/v1/repository-paths/{path}/repositories/list/",
            access=access.pulling_below(path),
            query={"n": str(limit), "last": last},
        )
    except RegistryUnknown:
        return RepositoryPage(repositories=())
    found = [reading.repository_of(item) for item in reading.items(answer.json())]
    return RepositoryPage(repositories=found, after=answer.marker("next", "last"))


def rename(
    transport: RegistryTransport, path: str, *, name: str = "", namespace: str = "", is_dry_run: bool
) -> RenameResult:
    """Rename *path* and all below it to another *name*, or move it to another *namespace*: one of the two.

    A dry run holds the new name for a minute.

    Raises:
        RegistryReadOnly: it renames nothing now.
    """
    answer = transport.send(
        "PATCH",
        f"/gitlab/v1/repositories/{path}/",
        access=access.moving(path, into=namespace),
        query={"dry_run": "true" if is_dry_run else "false"},
        headers=_JSON,
        content=json.dumps({"name": name} if name else {"namespace": namespace}).encode(),
    )
    return _renamed(answer)


def _renamed(answer: RemoteAnswer) -> RenameResult:
    found = _RENAME_ANSWERS.get(HTTPStatus(answer.status)) if answer.status in set(HTTPStatus) else None
    if found is None and isinstance(error := answer.error(), RegistryReadOnly):
        raise error
    result = found or RenameAnswer.FAILED
    return RenameResult(answer=result, message="" if result.is_good else str(answer.error()))
