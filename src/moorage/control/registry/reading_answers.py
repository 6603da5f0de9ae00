"""Answers of GitLab's API, JSON, as values. What is not of its type is as if it were not there.

Source: GitLab features V1A-004, V1A-009, V1A-011.
"""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from moorage.control.registry.registry_errors import RegistryNonsense
from moorage.control.registry.registry_values import RemoteTag, RepositoryState, TagReferrer
from moorage.json_nesting import parse_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Fields = Mapping[str, object]
Value = TypeVar("Value", bound="DataclassInstance")

_NUMBERS = 1 << 63
"""Beyond them is no size and no id; what strangers write into their manifests may be."""


def fields(value: object) -> Fields:
    """Return *value* as an object.

    Raises:
        RegistryNonsense: it is none.
    """
    if not isinstance(value, dict):
        msg = "the registry's answer is no JSON object"
        raise RegistryNonsense(msg)
    return value


def fields_in(payload: bytes) -> Fields:
    """Return the object that is written in *payload*; one without fields if there is none."""
    try:
        value = parse_json(payload)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Fields]:
    """Return *value* as a list of objects.

    Raises:
        RegistryNonsense: it is none.
    """
    if not isinstance(value, list):
        msg = "the registry's answer is no JSON list"
        raise RegistryNonsense(msg)
    return [fields(item) for item in value]


def objects(value: object) -> list[Fields]:
    """Return the objects in *value*, whatever else it is."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def words(value: object) -> list[str]:
    """Return the texts in *value*; null, which Distribution says for an empty list, has none."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def text(found: Fields, name: str) -> str:
    """Return a text; empty if there is none."""
    value = found.get(name)
    return value if isinstance(value, str) else ""


def number(found: Fields, name: str) -> int | None:
    """Return a whole number that is not negative; None if there is none, or if it is larger than any size can be."""
    value = found.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _NUMBERS else None


def moment(found: Fields, name: str) -> datetime | None:
    """Return a moment in UTC; None if there is none."""
    return moment_of(text(found, name))


def moment_of(written: str) -> datetime | None:
    """Return the moment that RFC 3339 says, with any number of decimals; None if it is none."""
    head, mark, rest = written.partition(".")
    if mark:
        decimals = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        written = f"{head}.{decimals[:6]:0<6}{rest[len(decimals) :]}"
    try:
        found = datetime.fromisoformat(written)
        return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def value_of(kind: type[Value], found: Fields, **others: Any) -> Value:  # noqa: ANN401 - as their fields have it
    """Read a value: its texts, numbers and moments are the fields of the same names.

    *others*: what has another name there, or is of another type. A number that has to be there is 0 where it is not.
    """
    plain = {
        field.name: _READERS[field.type](found, field.name)
        for field in dataclasses.fields(kind)
        if field.type in _READERS and field.name not in others
    }
    return kind(**plain, **others)


def repository_of(found: Fields) -> RepositoryState:
    """Read a repository."""
    return value_of(RepositoryState, found, precision=text(found, "size_precision"))


def listed_tag(found: Fields) -> RemoteTag:
    """Read a tag of a list."""
    about = objects(found.get("referrers"))
    referrers = tuple(TagReferrer(text(item, "artifactType"), text(item, "digest")) for item in about)
    return value_of(RemoteTag, found, referrers=referrers)


def detailed_tag(found: Fields) -> RemoteTag:
    """Read the details of one tag."""
    image = fields(found.get("image", {}))
    manifest, config = fields(image.get("manifest", {})), fields(image.get("config") or {})
    return value_of(
        RemoteTag,
        found,
        digest=text(manifest, "digest"),
        config_digest=text(config, "digest"),
        media_type=text(manifest, "media_type"),
        size_bytes=number(image, "size_bytes"),
    )


def _number(found: Fields, name: str) -> int:
    return number(found, name) or 0


_READERS: Mapping[object, Callable[[Fields, str], object]] = {
    str: text,
    int: _number,
    int | None: number,
    datetime | None: moment,
}
