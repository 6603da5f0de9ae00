"""Query parameters of GitLab's API: read as its registry reads them, refused with its codes.

Source: GitLab features V1A-012 to V1A-019.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import unquote

from moorage.core.details import SizeScope
from moorage.gitlab_errors import QueryTypeInvalid, QueryValueInvalid
from moorage.metadata.details import Order, TagEntry, TagPosition
from moorage.oci.names import TAG_PATTERN

LIMIT = 1000
DEFAULT_LIMIT = 100

_PART_PATTERN = "[a-zA-Z0-9._-]{1,128}"
_TAG = re.compile(TAG_PATTERN, re.ASCII)
_PART = re.compile(_PART_PATTERN, re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,6})\d*)?Z", re.ASCII)
_SORTS = [f"{sign}{order.value}" for order in Order for sign in ("", "-")]


def limit(text: str | None) -> int:
    """The size of a page (``n``)."""
    if text is None:
        return DEFAULT_LIMIT
    if _INTEGER.fullmatch(text) is None:
        msg = "n is a whole number"
        raise QueryTypeInvalid(msg, parameter="n", type="int")
    if not 1 <= int(text) <= LIMIT:
        msg = f"n is between 1 and {LIMIT}"
        raise QueryValueInvalid(msg, parameter="n", minimum=1, maximum=LIMIT)
    return int(text)


def size_scope(text: str | None) -> SizeScope | None:
    """Return what a size is to cover (``size``); None: no size is wanted."""
    if not text:
        return None
    values = [value.value for value in SizeScope]
    if text not in values:
        msg = f"size is one of {', '.join(values)}"
        raise QueryValueInvalid(msg, parameter="size", values=values)
    return SizeScope(text)


def sort(text: str | None) -> tuple[Order, bool, str]:
    """Return what to sort tags by, whether from the end, and the value for a link; that is empty if none was given."""
    text = (text or "").strip().lower()
    if not text:
        return Order.NAME, False, ""
    if text not in _SORTS:
        msg = f"sort is one of {', '.join(_SORTS)}"
        raise QueryValueInvalid(msg, parameter="sort", values=_SORTS)
    return Order(text.removeprefix("-")), text.startswith("-"), text


def part_of_name(text: str | None) -> str:
    """Return the text that the names of tags shall contain (``name``); empty: anything."""
    if text and _PART.fullmatch(text) is None:
        msg = "name is a part of a tag: letters, digits, '_', '.' or '-'"
        raise QueryValueInvalid(msg, parameter="name", pattern=f"^{_PART_PATTERN}$")
    return text or ""


def holding_a_tag(text: str, parameter: str) -> str:
    """A value that has a tag, or a part of one, anywhere in it: GitLab's registry asks for no more."""
    if _TAG.search(text) is None or "\0" in text:
        msg = f"{parameter} is a tag: letters, digits, '_', '.' or '-'"
        raise QueryValueInvalid(msg, parameter=parameter, pattern=TAG_PATTERN)
    return text


def exclusive(one: tuple[str, str | None], other: tuple[str, str | None]) -> None:
    """Refuse two parameters that are both there."""
    if one[1] is not None and other[1] is not None:
        msg = f"{one[0]} and {other[0]} cannot be given together"
        raise QueryValueInvalid(msg, parameters=[one[0], other[0]])


def place(text: str | None, parameter: str) -> TagPosition | None:
    """Return the place where a page begins or ends (``last``, ``before``): a tag's name, or time and name in base64."""
    if text is None:
        return None
    published_at, name = _decoded(text)
    if published_at is None:
        return TagPosition(holding_a_tag(text, parameter))
    return TagPosition(holding_a_tag(name, parameter), _moment(published_at, parameter))


def marker(entry: TagEntry, order: Order) -> str:
    """The place of a tag, as :func:`place` reads it."""
    if order is Order.NAME:
        return entry.name
    moment = entry.times.published_at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return base64.b64encode(f"{moment}Z|{entry.name}".encode()).decode()


def artifact_types(texts: Sequence[str]) -> list[str]:
    """Types of referrers (``referrer_type``): several times, or separated by commas; in lower case."""
    types = (item.strip().lower() for text in texts for item in text.split(","))
    return [item for item in dict.fromkeys(types) if item and "\0" not in item]


def _decoded(text: str) -> tuple[re.Match[str] | None, str]:
    """The moment and the name in a base64 marker; no moment if it is none."""
    # A '+' that a client did not escape arrives as a blank; some escape the whole twice.
    text = unquote(text).replace(" ", "+")
    try:
        decoded = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return None, ""
    moment, bar, name = decoded.partition("|")
    return (_MOMENT.fullmatch(moment) if bar else None), name.strip()


def _moment(found: re.Match[str], parameter: str) -> datetime:
    seconds, fraction = found.groups()
    try:
        moment = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
    except ValueError:
        msg = f"{parameter} has a moment that is none"
        raise QueryValueInvalid(msg, parameter=parameter) from None
    return moment.replace(microsecond=int((fraction or "").ljust(6, "0")))
