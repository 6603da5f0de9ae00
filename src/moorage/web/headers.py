"""Header values: Accept, Content-Range, If-Match, If-None-Match, Link. Read here, written here, nowhere else.

``Range`` is in ``web/ranges``.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeGuard
from urllib.parse import urlencode

from moorage.errors import ParameterInvalid, UploadInvalid
from moorage.oci.conditions import ALWAYS, ANY, Condition
from moorage.oci.digests import digest_or_none
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
    return bool(values) and any(item.removeprefix("W/").strip('"') in (etag, ANY) for item in _items(values))


def is_other(values: Sequence[str], etag: str) -> bool:
    """Return whether ``If-Match`` names others than *etag* (without quotes). A weak one is never the same.

    Source: RFC 9110 § 13.1.1.
    """
    return bool(values) and not any(item.strip('"') in (etag, ANY) for item in _items(values))


def condition_of(wanted: Sequence[str], unwanted: Sequence[str]) -> Condition:
    """Read ``If-Match`` and ``If-None-Match`` of a write: digests, quoted as an ``ETag`` is or not, or ``*``.

    Raises:
        ParameterInvalid: ``If-Match`` names something else, or too much.
    """
    if not wanted and not unwanted:
        return ALWAYS
    tags = {item.strip('"') for item in _items(wanted) if not item.startswith("W/")}
    if sum(map(len, wanted)) > _ETAG_LENGTH_LIMIT or any(tag != ANY and digest_or_none(tag) is None for tag in tags):
        msg = "If-Match has to name digests in quotes, as the ETag of a manifest is, or to be *"
        raise ParameterInvalid(msg, header="If-Match")
    others = {item.removeprefix("W/").strip('"') for item in _items(unwanted)}
    return Condition(wanted=tags if wanted else None, unwanted=others if unwanted else None)


def _items(values: Sequence[str]) -> Iterator[str]:
    return (item for value in values for part in value[:_ETAG_LENGTH_LIMIT].split(",") if (item := part.strip()))


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
