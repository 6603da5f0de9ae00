"""Ends of a connection that are none of HTTP's: before a body is whole, and before all that was sent is wanted."""

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp.web_protocol import RequestHandler


class EndedEarly(Exception):
    """The client closed its sending half before its body was whole; it may still read an answer."""


class LastRequests(deque[Any]):
    """The last requests that are taken of a client: after them the connection ends, and what else comes is dropped."""

    def __init__(self, connection: "RequestHandler") -> None:
        super().__init__(connection._messages)  # noqa: SLF001 - a part of it
        self._connection = connection

    def popleft(self) -> object:
        """Take the next one."""
        taken = super().popleft()
        if not self:
            self._connection._close = True  # noqa: SLF001 - a part of it
        return taken
