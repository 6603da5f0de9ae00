"""Reading of answers into the classes that a registry makes them from.

With the standard library only: pydantic would double the time that a command takes to start.
"""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from moorage.json_nesting import parse_json

T = TypeVar("T")


class AnswerUnreadable(ValueError):
    """An answer is not of the class that was expected. The text says where, and what is there."""


def read_answer(kind: type[T], value: object) -> T:
    """Read *value*, as JSON has it, into a dataclass; fields that the class does not know are left out.

    Raises:
        AnswerUnreadable: it is something else, or of a newer version.
    """
    found: T = _read(kind, value, "")
    return found


def read_json(body: bytes | str) -> object:
    """Decode JSON.

    Raises:
        AnswerUnreadable: it is none, or nested so deeply that nobody means it.
    """
    try:
        return parse_json(body)
    except ValueError as exc:
        msg = f"the answer is no JSON: {exc}"
        raise AnswerUnreadable(msg) from None


def printable(text: str) -> str:
    """Return *text*, which somebody else has chosen, by signs only: nothing of it is to move the cursor."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _read(kind: Any, value: object, where: str) -> Any:  # noqa: ANN401 - as the annotation of a field says
    if dataclasses.is_dataclass(kind):
        return _read_fields(kind, value, where)
    arguments = get_args(kind)
    match get_origin(kind):
        case origin if origin is Union or origin is UnionType:
            if value is None and NoneType in arguments:
                return None
            (only,) = [argument for argument in arguments if argument is not NoneType]
            return _read(only, value, where)
        case origin if origin is list:
            if not isinstance(value, list):
                raise _unreadable(where, "a list", value)
            return [_read(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value)]
        case origin if origin is Literal:
            if value not in arguments:
                raise _unreadable(where, f"one of {', '.join(arguments)}", value)
            return value
    return _read_plain(kind, value, where)


def _read_fields(kind: Any, value: object, where: str) -> Any:  # noqa: ANN401 - as above
    if not isinstance(value, Mapping):
        raise _unreadable(where, "an object", value)
    found = {}
    # What has a default came later: a registry of an older version does not say it.
    optional = {field.name for field in dataclasses.fields(kind) if field.default is not dataclasses.MISSING}
    for name, annotation in get_type_hints(kind).items():
        place = f"{where}.{name}" if where else name
        if name not in value and name in optional:
            continue
        if name not in value:
            msg = f"{place} is missing"
            raise AnswerUnreadable(msg)
        found[name] = _read(annotation, value[name], place)
    return kind(**found)


def _read_plain(kind: Any, value: object, where: str) -> Any:  # noqa: ANN401 - as above
    if kind is float and type(value) in (int, float):
        return value
    parse: Callable[[str], object] | None = None
    if kind is datetime:
        parse = _moment
    elif isinstance(kind, type) and issubclass(kind, StrEnum):
        parse = kind
    if parse is None:
        if type(value) is not kind:
            raise _unreadable(where, _NAMES[kind], value)
        return value
    try:
        if isinstance(value, str):
            return parse(value)
    except ValueError:
        pass
    raise _unreadable(where, "a time with its offset" if kind is datetime else f"one of {', '.join(kind)}", value)


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found


_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false", dict: "an object"}
_SHOWN = 60


def _unreadable(where: str, wanted: str, value: object) -> AnswerUnreadable:
    shown = repr(value)
    msg = f"{where or 'the answer'} is {shown[:_SHOWN]}{'…' if len(shown) > _SHOWN else ''} and should be {wanted}"
    return AnswerUnreadable(msg)
