"""Sizes of the heads of requests, and of what may be one."""

from collections.abc import Iterable

from aiohttp.http_exceptions import LineTooLong

_LITTLE_BYTES = 4 << 10
_END = b"\r\n\r\n"


def head_bytes(data: bytes) -> int:
    """Count the bytes of the head with which *data* begins; 0: it is not whole, or may be read in another way."""
    end = data.find(_END) + len(_END)
    return end if end >= len(_END) and data.count(b"\n", 0, end) == data.count(b"\r\n", 0, end) else 0


def field_bytes(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Count the bytes of all names and values of a head."""
    return sum(len(name) + len(value) for name, value in headers)


def unfinished_bytes(data: bytes, fed_bytes: int, *, is_body: bool) -> int:
    """Count the bytes of *data* that may be of a head or of trailers that are not whole; *fed_bytes* are of a body.

    The count may be too high, but it never holds bytes of a body; few bytes (``_LITTLE_BYTES``) count as none.
    """
    rest_bytes = len(data) - fed_bytes
    if rest_bytes <= _LITTLE_BYTES:
        return 0
    ended_at = data.rfind(b"\n0\r\n" if is_body else _END)
    if ended_at < 0:
        return 0 if is_body else rest_bytes
    return min(rest_bytes, len(data) - ended_at - 4)


def is_for_its_head(exc: BaseException | None) -> bool:
    """Return whether aiohttp, or we, refused a request for the size of its head."""
    return isinstance(exc, LineTooLong) or "Too many headers" in str(exc)
