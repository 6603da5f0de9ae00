"""Parameters as callers give them: types that only hold what can be stored, and every way in which a body comes."""

import re
from datetime import UTC, datetime
from io import BytesIO
from typing import Annotated, Any, Literal

from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParser
from django.utils.datastructures import MultiValueDict
from ninja import Schema
from ninja.parser import Parser
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from moorage.json_nesting import parse_json

ID_LIMIT = (1 << 63) - 1
TEXT_LIMIT = 255
LONG_TEXT_LIMIT = 10_000

UNKNOWN_NAME = "unknown_name"
"""The kind of mistake whose words are the whole answer."""

_OF_EVERY_CALL = frozenset({"access_token", "job_token", "private_token", "sudo"})
"""Names that GitLab's clients may put beside any others."""
_FORM = "application/x-www-form-urlencoded"
_NESTED = re.compile(r"[^\[\]]+(\[[^\[\]]+\]){1,3}")
_MULTIPART = "multipart/form-data"


def _storable(text: str) -> str:
    if "\0" in text:
        msg = "has a null character"
        raise ValueError(msg)
    return text


def _in_utc(at: datetime) -> datetime:
    try:
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        msg = "is out of range"
        raise ValueError(msg) from None


def _split(value: object) -> object:
    if isinstance(value, list):
        return [part for one in value for part in (_parts_of_text(one) if isinstance(one, str) else [one])]
    if isinstance(value, int):
        return [value]
    return _parts_of_text(value) if isinstance(value, str) else value


def _parts_of_text(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


Id = Annotated[int, Field(ge=1, le=ID_LIMIT)]
ShortText = Annotated[str, Field(max_length=TEXT_LIMIT), AfterValidator(_storable)]
LongText = Annotated[str, Field(max_length=LONG_TEXT_LIMIT), AfterValidator(_storable)]
Place = Annotated[str, Field(max_length=TEXT_LIMIT * 3), AfterValidator(_storable)]
"""An id, or a path whose slashes are ``%2F``."""
Instant = Annotated[datetime, AfterValidator(_in_utc)]
"""A moment; without a zone it is UTC."""
TextList = Annotated[list[ShortText], BeforeValidator(_split)]
"""Texts: a list, or one text with commas between them."""
IdList = Annotated[list[Id], BeforeValidator(_split)]
Visibilities = Literal["private", "internal", "public"]


class Given(Schema):
    """Parameters of a call. Those that it does not know are left out, as GitLab does."""

    model_config = ConfigDict(extra="ignore")

    def given(self) -> dict[str, Any]:
        """Return those that the caller gave, null ones left out."""
        return self.model_dump(exclude_unset=True, exclude_none=True)


class OwnValues(Given):
    """Values of a call that GitLab does not have: a name that it does not know is a mistake, and is said."""

    @model_validator(mode="before")
    @classmethod
    def _see_that_known(cls, found: Any) -> Any:  # noqa: ANN401 - as pydantic's
        given = getattr(found, "_obj", found)  # Django Ninja hands on an object of its own around the body.
        names = {str(name) for name in given} if isinstance(given, dict) else set()
        unknown = sorted(names - cls.model_fields.keys() - _OF_EVERY_CALL)
        if unknown:
            text = f"{', '.join(unknown)[:TEXT_LIMIT]} is unknown; known here: {', '.join(sorted(cls.model_fields))}"
            raise PydanticCustomError(UNKNOWN_NAME, "{text}", {"text": text})
        return found


class StatisticsQuery(Given):
    """Parameters of one thing that has statistics."""

    statistics: bool = Field(False, description="Its sizes too.")


class AcceptedShape(Given):
    """The word that something goes on."""

    message: str = "202 Accepted"


class GitLabParser(Parser):
    """A reader of bodies as GitLab takes them: JSON, a form of either kind, and parameters in the query beside it."""

    def parse_querydict(
        self, data: MultiValueDict[str, Any], list_fields: list[str], request: HttpRequest
    ) -> dict[str, Any]:
        """Return the parameters of a query, in which ``user_ids[]`` is the list ``user_ids``."""
        found = super().parse_querydict(data, list_fields, request)
        return found | {name[:-2]: data.getlist(name) for name in data if name.endswith("[]")}

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        """Return all parameters of a change.

        Raises:
            ValueError: the body cannot be read.
        """
        found = _of_form(request.GET)
        kind = request.content_type
        if kind == _FORM:
            return found | _of_form(QueryDict(request.body, encoding="utf-8"))
        if kind == _MULTIPART:
            fields, _ = MultiPartParser(
                request.META, BytesIO(request.body), request.upload_handlers, request.encoding
            ).parse()
            return found | _of_form(fields)
        document = parse_json(request.body)
        if not isinstance(document, dict):
            msg = "not an object"
            raise ValueError(msg)  # noqa: TRY004 - the caller catches what json raises
        return found | document


def _of_form(fields: QueryDict) -> dict[str, Any]:
    """The fields of a form: ``scopes[]`` is a list, ``policy[keep_n]`` is in an object ``policy``.

    Whatever else is there once, or counts with its last value.
    """
    found: dict[str, Any] = {}
    for name in fields:
        is_list, value = name.endswith("[]"), fields.getlist(name)
        outer, *inner = _parts(name.removesuffix("[]"))
        at = found
        for part in inner:
            below = at.get(outer)
            if not isinstance(below, dict):
                below = at[outer] = {}
            at, outer = below, part
        at[outer] = value if is_list else value[-1] if value else ""
    return found


def _parts(name: str) -> list[str]:
    """``a[b][c]`` as its parts; a name that is not of this form, or has too many, is one."""
    if _NESTED.fullmatch(name) is None:
        return [name]
    return name.removesuffix("]").replace("][", "[").split("[")
