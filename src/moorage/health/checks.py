"""Checks of what is around a registry: files, URLs, addresses. Those of its own parts are made by ``wiring``.

Source: GitLab features CFX-014 to CFX-019, HLT-007; Distribution's ``health/checks``.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import aiohttp

from moorage import __version__
from moorage.errors import BackendError
from moorage.health.questions import Ask

INTERVAL = timedelta(seconds=10)
"""Time between two checks where the configuration says 0. Source: GitLab features CFX-014."""
TIMEOUT = timedelta(seconds=5)
"""Deadline of a check where the configuration says 0: Distribution waits for ever then."""


class CheckFailed(BackendError):
    """Something that was checked is not as it should be."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One check, with how often it is made and what counts as a failure."""

    name: str
    ask: Ask
    interval: timedelta = INTERVAL
    timeout: timedelta = TIMEOUT
    threshold: int = 0
    """Failures in a row before it counts; 0 and 1: the first one does."""


class FileCheck:
    """Fails while a file is there, which an administrator makes to take a node out of service."""

    def __init__(self, file: str) -> None:
        self._path = os.path.abspath(file)  # noqa: PTH100 - a working folder that is gone later must not matter
        self._looking: asyncio.Future[bool] | None = None

    async def __call__(self) -> None:
        """Look for it.

        Raises:
            CheckFailed: it is there, or it cannot be said.
        """
        if self._looking is None or self._looking.done():  # A disk that hangs costs one thread, however often we look.
            self._looking = asyncio.get_running_loop().run_in_executor(None, _is_there, self._path)
        if await asyncio.shield(self._looking):
            msg = "file exists"
            raise CheckFailed(msg)


class URLCheck:
    """Asks a URL with HEAD, follows where it leads, and fails on any other status than the one of health."""

    def __init__(self, uri: str, *, status: int = 200, headers: Mapping[str, Sequence[str]]) -> None:
        self._uri = uri
        self._status = status
        given = [(name, value) for name, values in headers.items() for value in values]
        has_agent = any(name.lower() == "user-agent" for name, _ in given)
        self._headers = given if has_agent else [*given, ("User-Agent", f"moorage/{__version__}")]

    async def __call__(self) -> None:
        """Ask.

        Raises:
            CheckFailed: it says something else, or nothing.
        """
        try:
            async with (
                aiohttp.ClientSession(trust_env=True, timeout=aiohttp.ClientTimeout(total=None)) as session,
                session.head(self._uri, headers=self._headers, allow_redirects=True) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            msg = f"error while checking: {type(exc).__name__}"  # Its text may have a password of the URL.
            raise CheckFailed(msg) from exc
        if status != self._status:
            msg = f"downstream service returned unexpected status: {status}"
            raise CheckFailed(msg)


class AddressCheck:
    """Connects to an address, and lets go at once."""

    def __init__(self, addr: str) -> None:
        host, _, port = addr.rpartition(":")
        self._host, self._port = host.strip("[]") or "localhost", int(port)

    async def __call__(self) -> None:
        """Connect.

        Raises:
            CheckFailed: nobody takes the connection.
        """
        try:
            _, writer = await asyncio.open_connection(self._host, self._port)
        except OSError as exc:
            msg = f"connection failed: {exc.strerror or exc}"
            raise CheckFailed(msg) from exc
        writer.transport.abort()


def _is_there(path: str) -> bool:
    try:
        os.stat(path)  # noqa: PTH116 - not Path.exists, which takes what it may not look into for absent
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise CheckFailed(exc.strerror or str(exc)) from exc
    return True
