"""Header values: Accept, Range, Content-Range, If-None-Match, Link. Read here, written here, nowhere else."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlencode

from moorage.errors import ParameterInvalid, RangeNotSatisfiable, UploadInvalid
from moorage.oci.mediatypes import without_parameters

_RANGE = re.compile(r"bytes=\s*(\d{0,999})\s*-\s*(\d{0,999})\s*", re.ASCII | re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?(\d{1,19})-(\d{1,19})(?:/(?:\d{1,19}|\*))?", re.ASCII)
_ETAG_LENGTH_LIMIT = 8192


@dataclass(frozen=True, slots=True)
class Accepted:
    """The media types that a client can read; its q-values do not matter, as nothing is converted."""

    types: frozenset[str]

    @classmethod
    def parse(cls, values: Sequence[str]) -> "Accepted | None":
        """Read every ``Accept`` header; None if the client named nothing in particular."""
        text = ",".join(values)
        return _remembered_accept(text) if len(text) <= _REMEMBERED_LENGTH else cls._parse(text)

    @classmethod
    def _parse(cls, text: str) -> "Accepted | None":
        types = frozenset(without_parameters(item) for item in text.split(",") if item and not item.isspace())
        return cls(types) if types - {"*/*", "application/*", "application/json"} else None

    def __call__(self, media_type: str) -> bool:
        """Whether the client named *media_type*, or a wildcard over it."""
        return media_type in self.types or "*/*" in self.types or "application/*" in self.types


_REMEMBERED_LENGTH = 1024
_remembered_accept = lru_cache(maxsize=256)(Accepted._parse)  # noqa: SLF001 - its own other half
"""A client sends the same list with every request."""


def matches_etag(values: Sequence[str], etag: str) -> bool:
    """Whether the ``If-None-Match`` headers hold *etag* (without quotes): quoted, unquoted, weak, in a list, or ``*``.

    Source: RFC 9110 § 13.1.2; unquoted as GitLab's registry takes it.
    """
    return any(
        item.strip().removeprefix("W/").strip('"') in (etag, "*")
        for value in values
        for item in value[:_ETAG_LENGTH_LIMIT].split(",")
    )


def byte_range(value: str | None, size_bytes: int) -> tuple[int, int] | None:
    """The part of *size_bytes* that a ``Range`` asks for, as start and end (exclusive); None: all of it.

    What is not one range of bytes is passed over, as RFC 9110 allows: the client then gets the whole.

    Raises:
        RangeNotSatisfiable: the range lies outside, or ends before it starts.

    Source: RFC 9110 § 14.2.
    """
    found = _RANGE.fullmatch(value) if value else None
    if found is None:
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), min(int(last) + 1 if last else size_bytes, size_bytes)
    if start >= end:
        msg = f"the range lies outside the {size_bytes} bytes of the blob"
        raise RangeNotSatisfiable(msg, size_bytes=size_bytes)
    return start, end


def chunk_start(headers: Mapping[str, str]) -> int | None:
    """Where a chunk says that it starts, from its ``Content-Range``; None if it does not say.

    Raises:
        UploadInvalid: the header is malformed, or not as long as the ``Content-Length``.

    Source: distribution-spec § Pushing a blob in chunks (``^[0-9]+-[0-9]+$``).
    """
    value = headers.get("Content-Range")
    if value is None:
        return None
    found = _CONTENT_RANGE.fullmatch(value.strip())
    if found is None:
        msg = "Content-Range is <first byte>-<last byte>, such as 0-1023"
        raise UploadInvalid(msg, contentRange=value[:100])
    start, last = int(found[1]), int(found[2])
    length = headers.get("Content-Length")
    if last < start - 1 or (length is not None and int(length) != last - start + 1):
        msg = "Content-Range and Content-Length do not fit together"
        raise UploadInvalid(msg, contentRange=value, contentLength=length)
    return start


def page_size(values: Sequence[str], *, limit: int) -> int | None:
    """The value of an ``n`` parameter; None if there is none.

    Raises:
        ParameterInvalid: it is not a whole number from 0 to *limit*.
    """
    if not values:
        return None
    text = values[0]
    if not text.isascii() or not text.isdigit() or len(text) > len(str(limit)) or int(text) > limit:
        msg = f"n is a whole number from 0 to {limit}"
        raise ParameterInvalid(msg, reason="PAGINATION_NUMBER_INVALID", n=text[:40])
    return int(text)


def next_link(path: str, parameters: Iterable[tuple[str, str]]) -> str:
    """The ``Link`` to the page that follows.

    Source: RFC 8288; distribution-spec § Listing Tags.
    """
    return f'<{path}?{urlencode(list(parameters))}>; rel="next"'
