"""Renaming of repositories: who may, and so that two who want the same name do not both get it."""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Protocol

from moorage.auth.access import Access, Grant
from moorage.errors import BackendError, DatabaseUnavailable
from moorage.gitlab_errors import ProjectMismatch, ProjectUnknown, RenameConflict
from moorage.metadata.base import Cause
from moorage.metadata.details import RenameStore
from moorage.oci.names import RepositoryName
from moorage.telemetry import get_log

REPOSITORIES_LIMIT = 1000
"""Repositories that one rename moves at most. Source: GitLab features V1A-024."""

RESERVED = timedelta(seconds=60)
"""Time that a name is kept for the client that asked for it. Source: GitLab features V1A-025."""

DURATION_LIMIT_S = 5.0
"""Seconds that a rename may take at most. Source: GitLab features V1A-026."""

_log = get_log("renames")


class NameLeases(Protocol):
    """Leases of names: one holder each, on all nodes, until it ends."""

    async def take(self, name: str, holder: str, ttl: timedelta) -> datetime | None:
        """Take a lease, or prolong one that *holder* has; return when it ends, None if another has it."""

    async def release(self, name: str, holder: str) -> None:
        """Give a lease back; nothing happens if *holder* does not have it."""


class Renames:
    """Reserves names and gives them."""

    def __init__(self, store: RenameStore, leases: NameLeases) -> None:
        self._store = store
        self._leases = leases

    def check_project(self, name: RepositoryName, *, grant: Grant) -> None:
        """See that *grant* is for the project that is to be renamed, not for one above or below it.

        :meth:`reserve` and :meth:`rename` do so too; it can be asked for before the new name is known.

        Raises:
            ProjectUnknown, ProjectMismatch: it is not.

        Source: GitLab features V1A-023.
        """
        if grant.accesses is None:
            return
        project = grant.projects.get(name.text)
        if project is None:
            msg = "the token's access to the repository has no meta.project_path claim"
            raise ProjectUnknown(msg, path=name.text)
        if project != name.text:
            msg = "the token's meta.project_path claim is not the path of the repository"
            raise ProjectMismatch(msg, path=name.text, project_path=project)

    async def reserve(self, name: RepositoryName, target: RepositoryName, *, grant: Grant) -> datetime:
        """See whether :meth:`rename` would do it, and keep *target* for *name*; return until when.

        Raises: as :meth:`rename` does.
        """
        self._check_rights(name, target, grant)
        await self._store.check(name, target, limit=REPOSITORIES_LIMIT)
        return await self._take(name, target)

    async def rename(self, name: RepositoryName, target: RepositoryName, *, grant: Grant, cause: Cause) -> None:
        """Let *name* and the repositories below it be *target* and below; all of them or none.

        Raises:
            AccessLacking, ProjectUnknown, ProjectMismatch: *grant* does not allow it. Nothing is changed.
            NameUnknown: there is no such repository, and none below it.
            NameInvalid: a repository below would get a name that is too long. Nothing is changed.
            TooManyRepositories: they are more than can be renamed at once. Nothing is changed.
            RenameConflict: there is something at *target* or below it, or it is kept for another. Nothing is changed.
            DatabaseUnavailable: it took too long; it may have happened all the same.
        """
        self._check_rights(name, target, grant)
        await self._store.check(name, target, limit=REPOSITORIES_LIMIT)
        began = time.monotonic()  # The end of the lease is told by the database's clock, which may be another one.
        await self._take(name, target)
        left_s = RESERVED.total_seconds() - (time.monotonic() - began)
        try:
            async with asyncio.timeout(min(DURATION_LIMIT_S, left_s)):
                count = await self._store.rename(name, target, limit=REPOSITORIES_LIMIT, cause=cause)
        except TimeoutError:
            msg = "renaming took too long"
            raise DatabaseUnavailable(msg) from None
        _log.info("renamed", correlation_id=cause.request_id, origin=name.text, target=target.text, repositories=count)
        await self._release(name, target)

    def _check_rights(self, name: RepositoryName, target: RepositoryName, grant: Grant) -> None:
        self.check_project(name, grant=grant)
        namespace = target.text.rpartition("/")[0]
        if namespace != name.text.rpartition("/")[0]:
            grant.require(Access.move(name, namespace or target.text))

    async def _take(self, name: RepositoryName, target: RepositoryName) -> datetime:
        ends_at = await self._leases.take(_lease(target), name.text, RESERVED)
        if ends_at is None:
            msg = "the new name is kept for another repository that is being renamed"
            raise RenameConflict(msg, path=target.text)
        return ends_at

    async def _release(self, name: RepositoryName, target: RepositoryName) -> None:
        try:
            await self._leases.release(_lease(target), name.text)
        except BackendError as exc:  # The rename is done; the lease ends by itself.
            _log.warning("a lease was not given back", target=target.text, error=repr(exc))


def _lease(target: RepositoryName) -> str:
    return f"rename:{target.text}"
