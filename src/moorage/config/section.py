"""What every section of the configuration is made of."""

from datetime import timedelta
from typing import Annotated, Any, ClassVar

import re2
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from moorage.config.durations import parse_duration


class Section(BaseModel):
    """A part of the configuration: frozen; a key that is given empty has its default."""

    # Unknown keys are found before validation, by ``load``, so that they can be a warning. Input is never echoed in
    # errors: it may be a secret.
    is_implemented: ClassVar[bool] = True
    """Whether there is such a driver or scheme yet, whatever its keys."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, protected_namespaces=())


def now(default: Any, description: str, **more: Any) -> Any:  # noqa: ANN401 - as pydantic's Field
    """A key whose feature exists."""
    return _field(default, description, implemented=True, **more)


def later(default: Any, description: str, **more: Any) -> Any:  # noqa: ANN401 - as pydantic's Field
    """A key that is accepted and whose feature does not exist yet."""
    return _field(default, description, implemented=False, **more)


def _field(default: Any, description: str, *, implemented: bool, **more: Any) -> Any:  # noqa: ANN401 - as above
    extra: dict[str, JsonValue] = {"implemented": implemented}
    if isinstance(default, type) and issubclass(default, Section):
        return Field(default_factory=default, description=description, json_schema_extra=extra, **more)
    return Field(default, description=description, json_schema_extra=extra, **more)


def _text(value: object) -> object:
    # As Go's yaml: a number where text is wanted is the text that was written, near enough.
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _flag(value: object) -> object:
    if not isinstance(value, bool):
        msg = "true or false is needed"
        raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueError
    return value


def _whole(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        msg = "a whole number is needed"
        raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueError
    return value


def _pattern(value: str) -> str:
    try:
        re2.compile(value)
    except re2.error as exc:
        msg = f"not a regular expression of RE2's syntax: {exc}"
        raise ValueError(msg) from None
    return value


def _not_negative(value: timedelta) -> timedelta:
    if value < timedelta(0):
        msg = "a duration of at least 0 is needed"
        raise ValueError(msg)
    return value


Text = Annotated[str, BeforeValidator(_text)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=0)]
SignedDuration = Annotated[timedelta, BeforeValidator(parse_duration)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration), AfterValidator(_not_negative)]
Pattern = Annotated[str, BeforeValidator(_text), AfterValidator(_pattern)]
Secret = Annotated[str, BeforeValidator(_text), Field(repr=False)]
"""Text that must not be shown."""
