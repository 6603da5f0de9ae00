"""A second application at one path of the registry's address."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp.web_request import BaseRequest

from moorage.web.access_log import AccessLog
from moorage.web.request import split_target
from moorage.web.responses import Response

Handler = Callable[[BaseRequest], Awaitable[Response]]


class Neighbour(Protocol):
    """An application that the registry's processes serve beside the registry."""

    def app(self, path: str, access_log: AccessLog) -> Handler:
        """Return the handler of *path*, which writes to *access_log*; asked for once in each process that serves."""

    async def keep(self) -> None:
        """Do what one process of a node has to do, for as long as it lives."""


class Beside:
    """Answers at one path by another application than everywhere else."""

    def __init__(self, main: Handler, other: Handler, *, path: str) -> None:
        """*other* answers at *path*, and *main* everywhere else."""
        self._main = main
        self._other = other
        self._path = path

    async def __call__(self, request: BaseRequest) -> Response:
        """Answer one request."""
        is_other = split_target(request.raw_path)[0] == self._path
        return await (self._other if is_other else self._main)(request)
