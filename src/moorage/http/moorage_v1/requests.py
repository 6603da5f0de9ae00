"""Requests to ``/moorage/v1/``: queries and bodies. The OpenAPI document is made from the same models."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core.core_schema import CoreSchema, no_info_before_validator_function

from moorage.errors import ParameterInvalid
from moorage.oci.digests import DIGEST_PATTERN, Digest
from moorage.oci.names import NAME_LENGTH_LIMIT, NAME_PATTERN, TAG_PATTERN, RepositoryName, Tag
from moorage.oci.tag_patterns import PATTERN_LENGTH_LIMIT
from moorage.telemetry import REQUEST_ID_PATTERN
from moorage.web.query import QueryParameters

PAGE = 100
PAGE_LIMIT = 1000
STEPS_LIMIT = 1000
TAGS_LIMIT = 50_000
BODY_LIMIT_BYTES = 8 << 20
"""A list of :data:`TAGS_LIMIT` tags of any length fits."""

_LARGEST = (1 << 63) - 1
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,30})?(?:[Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)

_NAME = f"^{NAME_PATTERN}$"
_TAG = f"^{TAG_PATTERN}$"
_DIGEST = f"^({DIGEST_PATTERN})$"
_REQUEST = f"^{REQUEST_ID_PATTERN}$"


def read_moment(text: object) -> datetime:
    """A moment of RFC 3339; one that lies outside of what can be told is the first or the last that can.

    Raises:
        ValueError: it is none.
    """
    msg = "must be a time with its offset, such as 2026-11-23T15:17:56Z"
    if not isinstance(text, str) or _MOMENT.fullmatch(text) is None:
        raise ValueError(msg)
    whole = text.upper().replace(" ", "T").replace("Z", "+00:00")
    if whole[17:19] == "60":  # A leap second, which ends with the second that follows.
        whole = f"{whole[:17]}59{whole[19:]}"
    whole = re.sub(r"(\.\d{6})\d+", r"\1", whole)
    try:
        found = datetime.fromisoformat(whole)
    except ValueError:
        raise ValueError(msg) from None
    try:
        return found.astimezone(UTC)
    except OverflowError:
        return _FIRST if found.year == 1 else _LAST


def _number(value: object) -> object:
    """Digits of a query as a number."""
    if not isinstance(value, str) or _DIGITS.fullmatch(value) is None:
        msg = "must be a whole number"
        raise ValueError(msg)
    return int(value)


def _whole(value: object) -> object:
    """A number of a body; ``1.0`` is whole for JSON Schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _parsed(parse: Any) -> PlainValidator:  # noqa: ANN401 - RepositoryName.parse, Tag.parse, Digest.parse
    def read(value: object) -> object:
        if not isinstance(value, str):
            msg = "must be a string"
            raise ValueError(msg)  # noqa: TRY004 - what pydantic turns into its own error
        return parse(value)

    return PlainValidator(read)


RepositoryText = Annotated[
    RepositoryName,
    _parsed(RepositoryName.parse),
    WithJsonSchema({"type": "string", "pattern": _NAME, "maxLength": NAME_LENGTH_LIMIT}),
]
TagText = Annotated[Tag, _parsed(Tag.parse), WithJsonSchema({"type": "string", "pattern": _TAG})]
DigestText = Annotated[Digest, _parsed(Digest.parse), WithJsonSchema({"type": "string", "pattern": _DIGEST})]
RequestText = Annotated[str, Field(pattern=_REQUEST)]
Moment = Annotated[datetime, BeforeValidator(read_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Pattern = Annotated[str, Field(max_length=PATTERN_LENGTH_LIMIT, json_schema_extra={"format": "re2"})]
PageSize = Annotated[int, Field(ge=1, le=PAGE_LIMIT), BeforeValidator(_number)]
EntryId = Annotated[int, Field(ge=1, le=_LARGEST), BeforeValidator(_number)]


class _NotNull:
    """None is the default and nothing else: the field is given, or it is not; it is never null."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401 - as pydantic calls it
        return no_info_before_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = handler(schema)
        (only,) = [item for item in found.pop("anyOf") if item != {"type": "null"}]
        return {**only, **found}

    @staticmethod
    def _check(value: object) -> object:
        if value is None:
            msg = "must not be null; leave it out"
            raise ValueError(msg)
        return value


T = TypeVar("T")
Given = Annotated[T | None, _NotNull()]
"""A value that may be left out."""


class Asked(BaseModel):
    """The query or the body that a caller sends: nothing that is not described."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        arbitrary_types_allowed=True,
        defer_build=True,  # Each for the first who asks: a start need not wait for what few ask.
    )


class NoQuery(Asked):
    """No parameters."""


class HistoryQuery(Asked):
    """The choice of entries of a repository's history."""

    repository: RepositoryText = Field(description="Whose history; also under its earlier names.")
    tag: Given[TagText] = Field(None, description="Only changes of this tag.")
    request: Given[RequestText] = Field(None, description="Only changes by the request of this id.")
    since: Given[Moment] = Field(None, description="Only changes at or after this time.")
    until: Given[Moment] = Field(None, description="Only changes before this time.")
    n: PageSize = Field(PAGE, description="How many entries a page has at most.")
    last: Given[EntryId] = Field(None, description="The id of the last entry of the page before; `Link` has it.")


class RequestQuery(Asked):
    """The choice of a request, and of a page of its entries."""

    id: RequestText = Field(description="The id of the request: `X-Request-Id` of its answer.")
    repository: Given[RepositoryText] = Field(
        None,
        description="Its repository, so that a token for it can be asked for. Where the id may be several callers', "
        "only the changes in it are meant, unless a rename is among them.",
    )
    n: PageSize = Field(PAGE, description="How many entries a page has at most.")
    last: Given[EntryId] = Field(None, description="The id of the last entry of the page before; `Link` has it.")


class TagQuery(Asked):
    """The choice of a tag, and of a time."""

    repository: RepositoryText = Field(description="The repository of the tag.")
    tag: TagText = Field(description="The tag.")
    at: Given[Moment] = Field(None, description="What it was at this time; what it is now, if not given.")


class TagUndoQuery(Asked):
    """The choice of a tag."""

    repository: RepositoryText = Field(description="The repository of the tag.")
    tag: TagText = Field(description="The tag.")


class RequestUndoQuery(Asked):
    """The choice of a request."""

    id: RequestText = Field(description="The id of the request: `X-Request-Id` of its answer.")
    repository: Given[RepositoryText] = Field(
        None,
        description="Its repository, so that a token for it can be asked for. Where the id may be several callers', "
        "only the changes in it are meant, unless a rename is among them.",
    )


class TagsDeleteQuery(Asked):
    """The choice of a repository."""

    repository: RepositoryText = Field(description="The repository of the tags.")


class TagUndo(Asked):
    """The state that a tag goes back to: one of `to`, `at` and `steps`; with none, the one before its last change."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {"anyOf": [{"required": ["to", "at"]}, {"required": ["to", "steps"]}, {"required": ["at", "steps"]}]}
        }
    )

    to: Given[DigestText] = Field(None, description="To this manifest.")
    at: Given[Moment] = Field(None, description="To what it was at this time.")
    steps: Given[Annotated[int, Field(ge=1, le=STEPS_LIMIT), BeforeValidator(_whole)]] = Field(
        None, description="To what it was before so many of its last changes."
    )
    expected: DigestText | None = Field(
        None,
        description="What the tag is now, as far as the caller knows; null: there is no such tag. "
        "If somebody changed it since, nothing is done.",
    )
    dry_run: bool = Field(False, description="Say what would be done, and do nothing.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_one(self, "to", "at", "steps", is_needed=False)
        return self


class RequestUndo(Asked):
    """Options for taking back a request."""

    partial: bool = Field(False, description="Leave what was changed since as it is, and take back the rest.")
    dry_run: bool = Field(False, description="Say what would be done, and do nothing.")


class TagsDelete(Asked):
    """The choice of tags to delete: `tags` by name, or those that `matching` matches."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["tags"]}, {"required": ["matching"]}],
            "dependentRequired": {"keep_matching": ["matching"], "keep_newest": ["matching"]},
        }
    )

    tags: Given[Annotated[list[TagText], Field(max_length=TAGS_LIMIT)]] = Field(None, description="These tags.")
    matching: Given[Pattern] = Field(None, description="Tags that this RE2 pattern matches as a whole.")
    keep_matching: Given[Pattern] = Field(None, description="Of those, keep what this RE2 pattern matches as a whole.")
    keep_newest: Annotated[int, Field(ge=0, le=_LARGEST), BeforeValidator(_whole)] = Field(
        default=0, description="Of what is left, keep so many that were last pushed."
    )
    limit: Given[Annotated[int, Field(ge=1, le=_LARGEST), BeforeValidator(_whole)]] = Field(
        None, description="Delete at most so many; `more` in the answer says whether there may be others."
    )
    dry_run: bool = Field(False, description="Say what would be done, and do nothing.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_one(self, "tags", "matching", is_needed=True)
        if "tags" in self.model_fields_set and {"keep_matching", "keep_newest"} & self.model_fields_set:
            msg = "keep_matching and keep_newest go with matching"
            raise ValueError(msg)
        return self


Model = TypeVar("Model", bound=Asked)


def parse_query(model: type[Model], query: QueryParameters) -> Model:
    """Read a query.

    Raises:
        ParameterInvalid, NameInvalid, TagInvalid: it is not as *model* describes it.
    """
    twice = [name for name, values in query.values.items() if len(values) > 1]
    if twice:
        msg = f"{_shown(twice[0])} is there more than once"
        raise ParameterInvalid(msg)
    return _read(model, {name: values[0] for name, values in query.values.items()})


def parse_body(model: type[Model], body: bytes) -> Model:
    """Read a JSON body.

    Raises:
        ParameterInvalid, DigestInvalid, TagInvalid: it is not as *model* describes it.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as exc:
        raise _refused(model, exc) from None


def _check_one(body: Asked, *names: str, is_needed: bool) -> None:
    found = [name for name in names if name in body.model_fields_set]
    if len(found) > 1 or (is_needed and not found):
        msg = f"give one of {', '.join(names)}, not {' and '.join(found) or 'none'}"
        raise ValueError(msg)


def _read(model: type[Model], values: Mapping[str, str]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        raise _refused(model, exc) from None


def _refused(model: type[Asked], exc: ValidationError) -> ParameterInvalid:
    messages = []
    for error in exc.errors(include_url=False, include_context=False, include_input=False)[:10]:
        where = ".".join(_shown(str(part)) for part in error["loc"])
        text = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            text = f"there is no such parameter; there are {', '.join(model.model_fields) or 'none'}"
        messages.append(f"{where}: {text}" if where else text)
    return ParameterInvalid("; ".join(messages))


def _shown(text: str) -> str:
    return ascii(text[:40])[1:-1]
