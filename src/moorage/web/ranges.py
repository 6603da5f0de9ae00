"""Parts of a blob: a ``Range`` header read, and the answer that carries several parts, framed.

The bytes themselves are sent in ``web/sending``.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from moorage.errors import RangeNotSatisfiable

PART_LIMIT = 1024
"""Parts of one answer; who asks for more gets the whole. Podman asks for so many at once, at most."""

DISTANT_PART_LIMIT = 64
"""The same for bytes that are elsewhere: each part is a request there, one after the other."""

_UNIT = re.compile(r"\s*bytes=", re.ASCII | re.IGNORECASE)
_RANGE = re.compile(r"\s*(\d{0,999})\s*-\s*(\d{0,999})\s*", re.ASCII)

Part = tuple[int, int]
"""Start and end (exclusive)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes to send before a part, and the part."""

    lead: bytes
    part: Part

    @property
    def size_bytes(self) -> int:
        """Bytes that it is on the wire."""
        return len(self.lead) + self.part[1] - self.part[0]


@dataclass(frozen=True, slots=True)
class Multipart:
    """A body of type ``multipart/byteranges``."""

    content_type: str
    pieces: Sequence[Piece]
    tail: bytes

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole body."""
        return sum(piece.size_bytes for piece in self.pieces) + len(self.tail)


def byte_ranges(value: str | None, size_bytes: int, *, limit: int = PART_LIMIT) -> Sequence[Part] | None:
    """The parts of *size_bytes* that a ``Range`` asks for; None: all of it.

    They are as they were asked for, in that order, also where they touch or overlap: some clients count them. What is
    no list of byte ranges, or one of more than *limit* or of more bytes than the whole, is passed over, as RFC 9110
    allows: the client then gets the whole. So is any range of nothing: who reads all blobs by ranges reads an empty
    one too.

    Raises:
        RangeNotSatisfiable: each range lies outside, or ends before it starts.

    Source: RFC 9110 § 14.2, § 15.3.7.
    """
    asked = _asked(value, limit)
    if not asked or not size_bytes:
        return None
    inside = [part for part in (_inside(first, last, size_bytes) for first, last in asked) if part is not None]
    if not inside:
        msg = f"the range lies outside the {size_bytes} bytes of the blob"
        raise RangeNotSatisfiable(msg, size_bytes=size_bytes)
    return inside if sum(end - start for start, end in inside) <= size_bytes else None


def multipart(parts: Sequence[Part], size_bytes: int, *, content_type: str) -> Multipart:
    """Frame several *parts* of a blob of *size_bytes* for one answer.

    Source: RFC 9110 § 14.6; RFC 2046 § 5.1.
    """
    # Drawn anew each time: the client that pushed the blob cannot have put the boundary into it.
    boundary = secrets.token_hex(16)
    pieces = []
    for number, part in enumerate(parts):
        lines = (
            f"--{boundary}" if number == 0 else f"\r\n--{boundary}",
            f"Content-Type: {content_type}",
            f"Content-Range: {content_range(part, size_bytes)}",
        )
        pieces.append(Piece("\r\n".join([*lines, "", ""]).encode("ascii"), part))
    return Multipart(f"multipart/byteranges; boundary={boundary}", pieces, f"\r\n--{boundary}--\r\n".encode("ascii"))


def content_range(part: Part, size_bytes: int) -> str:
    """The ``Content-Range`` of a part."""
    return f"bytes {part[0]}-{part[1] - 1}/{size_bytes}"


def _asked(value: str | None, limit: int) -> list[tuple[str, str]] | None:
    unit = _UNIT.match(value) if value else None
    if value is None or unit is None:
        return None
    items = value[unit.end() :].split(",", limit)
    if len(items) > limit:
        return None
    asked = []
    for item in items:
        if not item.strip():
            continue  # Source: RFC 9110 § 5.6.1.2: a recipient ignores empty elements.
        found = _RANGE.fullmatch(item)
        if found is None or not (found[1] or found[2]):
            return None
        asked.append((found[1], found[2]))
    return asked


def _inside(first: str, last: str, size_bytes: int) -> Part | None:
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), min(int(last) + 1 if last else size_bytes, size_bytes)
    return (start, end) if start < end else None
