"""Header values: Accept, Content-Range, If-Match, If-None-Match, Link. Read here, written here, nowhere else.

``Range`` is in ``web/ranges``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeGuard
from urllib.parse import urlencode

from moorage.errors import ParameterInvalid, UploadInvalid
from moorage.oci.digests import Digest, digest_or_none
from moorage.oci.mediatypes import without_parameters

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
        """Return whether the client named *media_type*, or a wildcard over it."""
        return media_type in self.types or "*/*" in self.types or "application/*" in self.types


_REMEMBERED_LENGTH = 1024
_remembered_accept = lru_cache(maxsize=256)(Accepted._parse)  # noqa: SLF001 - its own other half
"""A client sends the same list with every request."""


def matches_etag(values: Sequence[str], etag: str) -> bool:
    """Return whether ``If-None-Match`` holds *etag* (without quotes): quoted, unquoted, weak, in a list, or ``*``.

    Source: RFC 9110 § 13.1.2; unquoted as GitLab's registry takes it.
    """
    return any(
        item.strip().removeprefix("W/").strip('"') in (etag, "*")
        for value in values
        for item in value[:_ETAG_LENGTH_LIMIT].split(",")
    )


def is_for_nothing(values: Sequence[str]) -> bool:
    """Return whether ``If-None-Match`` of a write is ``*``: only where there is nothing yet."""
    return any(value.strip() == "*" for value in values)


def wanted_digest(values: Sequence[str]) -> Digest | None:
    """Return the digest that ``If-Match`` of a write names, as an ``ETag`` is: quoted, or not; None: any will do.

    Raises:
        ParameterInvalid: it is neither one digest nor ``*``.
    """
    text = ",".join(values)[:_ETAG_LENGTH_LIMIT].strip()
    if text in ("", "*"):
        return None
    digest = digest_or_none(text.strip('"'))
    if digest is None:
        msg = "If-Match has to be one digest in quotes, as the ETag of a manifest is"
        raise ParameterInvalid(msg, header="If-Match")
    return digest


@dataclass(frozen=True, slots=True)
class ChunkRange:
    """The range that a chunk's ``Content-Range`` states."""

    start: int
    is_consistent: bool
    """True if the range ends where it should, by the ``Content-Length``."""


def chunk_range(headers: Mapping[str, str]) -> ChunkRange | None:
    """Read the range that a chunk states in its ``Content-Range``; None if it states none.

    Raises:
        UploadInvalid: the header is malformed.

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
    return ChunkRange(start, last >= start - 1 and (length is None or int(length) == last - start + 1))


def is_whole(text: str | None) -> TypeGuard[str]:
    """Return whether *text* is a whole number, without a sign."""
    return text is not None and text.isascii() and text.isdigit()


def page_size(values: Sequence[str], *, limit: int) -> int | None:
    """The value of an ``n`` parameter; None if there is none.

    Raises:
        ParameterInvalid: it is not a whole number from 0 to *limit*.
    """
    if not values:
        return None
    text = values[0]
    if not is_whole(text) or len(text) > len(str(limit)) or int(text) > limit:
        msg = f"n is a whole number from 0 to {limit}"
        raise ParameterInvalid(msg, reason="PAGINATION_NUMBER_INVALID", n=text[:40])
    return int(text)


def next_link(path: str, parameters: Iterable[tuple[str, str]]) -> str:
    """The ``Link`` to the page that follows.

    Source: RFC 8288; distribution-spec § Listing Tags.
    """
    return f'<{path}?{urlencode(list(parameters))}>; rel="next"'
