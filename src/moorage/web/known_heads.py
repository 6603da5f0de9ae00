"""Heads of requests that were parsed before: the same bytes need not be parsed again.

A client that pulls sends the same head for the same path, and a fleet of them the same as each other. Only what
aiohttp's parser took as exactly one whole request is remembered, and only the very same bytes are found.
Source: ADR 0126.
"""

from datetime import timedelta

from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from moorage.cache.remembered import Remembered
from moorage.web.head_sizes import head_bytes

LIMIT_BYTES = 512 << 10
"""Memory for the heads that a worker remembers, about: 200, and 110 where each has a token."""

_PARSED_BYTES = 2200
"""Memory that a head takes besides its text and its values: the map of its headers, its URL, the entry."""

LENGTH_LIMIT_BYTES = 4 << 10
"""Longer heads are parsed each time: few of them would take the room of all others.
To look for what is longer would be to hash a body for nothing."""

_AGE = timedelta(minutes=10)
_SWIFT = frozenset({"GET", "HEAD", "POST"})
"""Methods whose heads are often sent again (pulls of the same path, beginnings of uploads), and whose answers seldom
wait for anything."""
_LAST_CHUNK = b"0\r\n\r\n"
"""A body that comes in chunks ends with it. A head that ended so would be a request, or none at all."""


class KnownHeads:
    """The heads that were read last, and what was read of each."""

    def __init__(self) -> None:
        self._remembered: Remembered[bytes, RawRequestMessage] = Remembered(LIMIT_BYTES, age=_AGE, size_of=_size_bytes)
        self.get = self._remembered.get

    def note(self, data: bytes, message: object, body: StreamReader) -> bool:
        """Remember that *data* was parsed as *message*, with *body*; return whether it was one head without a body.

        The parser must have kept nothing before. It keeps nothing now if the return value is True.
        """
        if not isinstance(message, RawRequestMessage) or not _is_one_head(data) or not _is_plain(message, body):
            return False
        if message.method in _SWIFT and len(data) <= LENGTH_LIMIT_BYTES and not _has_password(message):
            # Without the headers as they came, which nobody asks for again: they are as long as the head.
            self._remembered.put(data, message._replace(raw_headers=()))
        return True


def is_swift(message: object, body: StreamReader, *, is_plain: bool) -> bool:
    """Return whether a request's answer seldom waits, so that it is begun where its head is found.

    *is_plain*: it has no body, and does not change how the connection goes on. A chunk of an upload that has come as a
    whole is hashed and written at once, too.
    """
    if is_plain:
        return isinstance(message, RawRequestMessage) and message.method in _SWIFT
    return (
        isinstance(message, RawRequestMessage)
        and message.method == "PATCH"
        and body.is_eof()
        and body.exception() is None
        and not (message.should_close or message.upgrade)
    )


def _size_bytes(message: RawRequestMessage) -> int:
    """Return the memory that a head takes, about: its values are there twice, in its text and by themselves."""
    return _PARSED_BYTES + 2 * (len(message.path) + sum(map(len, message.headers.values())))


def is_end_of_body(data: bytes, known_bytes: int) -> bool:
    """Return whether *data* ends with a body that is whole now; *known_bytes* of it are its head and its content."""
    return known_bytes == len(data) or data == _LAST_CHUNK or data.endswith(b"\r\n" + _LAST_CHUNK)


def _is_one_head(data: bytes) -> bool:
    """Return whether *data* is one whole head, however a parser reads its lines."""
    return 0 < len(data) == head_bytes(data)


def _is_plain(message: RawRequestMessage, body: StreamReader) -> bool:
    """Return whether a request has no body, and neither it nor its end changes how the connection goes on."""
    return (
        body is EMPTY_PAYLOAD
        and message.version == HttpVersion11
        and not (message.should_close or message.upgrade or message.chunked)
    )


def _has_password(message: RawRequestMessage) -> bool:
    """Return whether a request has credentials that do not expire as a token does: those are not to stay in memory."""
    return any(not value.startswith("Bearer ") for value in message.headers.getall("Authorization", ()))
