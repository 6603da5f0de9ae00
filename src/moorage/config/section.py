"""Base of every section of the configuration, and the parts that sections are made of."""

import re
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from moorage.config.durations import parse_duration
from moorage.oci.safe_patterns import PatternInvalid, compiled

WHOLE_WORDS = frozenset(
    """
    AZURE_V2 S3_V2 CREDENTIALS_TYPE TENANT_ID CLIENT_ID DEFAULT_CREDENTIALS CLIENT_SECRET SHARED_KEY MAX_RETRIES
    RETRY_TRY_TIMEOUT RETRY_DELAY MAX_RETRY_DELAY DEBUG_LOG DEBUG_LOG_EVENTS API_POOL_INITIAL_INTERVAL
    API_POOL_MAX_INTERVAL API_POOL_MAX_ELAPSED_TIME CHECKSUM_ALGORITHM CHECKSUM_DISABLED STORAGE_CLASS
    REDUCED_REDUNDANCY BUCKET_OWNER_FULL_CONTROL PRIVATE_KEY_ID PRIVATE_KEY CLIENT_EMAIL AUTH_URI TOKEN_URI
    AUTH_PROVIDER_X509_CERT_URL CLIENT_X509_CERT_URL PROJECT_ID MIN_URL_VALIDITY DEFAULT_URL_VALIDITY DRY_RUN
    """.split()  # noqa: SIM905 - a list of words reads better than thirty strings
)
"""Words of variables' names with underscores, which are not taken apart. Source: features CFP-009."""


_DIGITS = re.compile(r"[+-]?\d{1,19}", re.ASCII)


class Section(BaseModel):
    """A part of the configuration: frozen; a key that is given empty has its default."""

    # Unknown keys are found before validation, by ``load``, so that they can be a warning. Input is never echoed in
    # errors: it may be a secret.
    why_unused: ClassVar[str] = ""
    """The reason why no key of it has a function; empty: that is said at each key, or they have one."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        protected_namespaces=(),
        defer_build=True,  # The root is built when it is read, and its sections with it: not each of them before, too.
    )


def now(default: Any, description: str, **more: Any) -> Any:  # noqa: ANN401 - as pydantic's Field
    """A key whose feature exists."""
    return _field(default, description, implemented=True, **more)


def unused(default: Any, description: str, **more: Any) -> Any:  # noqa: ANN401 - as pydantic's Field
    """A key that is accepted and has no function here, for a reason that its text or its section tells.

    *go_name* as in ``Node.go_name``.
    """
    return _field(default, description, implemented=False, **more)


def _field(
    default: Any,  # noqa: ANN401 - as above
    description: str,
    *,
    implemented: bool,
    go_name: str = "",
    **more: Any,  # noqa: ANN401 - as above
) -> Any:  # noqa: ANN401 - as above
    extra: dict[str, JsonValue] = {"implemented": implemented, "go_name": go_name}
    if isinstance(default, type) and issubclass(default, Section):
        # Not by validation of nothing, for which each section would have to be built by itself, beside the root.
        return Field(default_factory=default.model_construct, description=description, json_schema_extra=extra, **more)
    return Field(default, description=description, json_schema_extra=extra, **more)


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


def _driver_flag(value: object) -> object:
    # Go reads a driver's parameters from text, too.
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


def _driver_whole(value: object) -> object:
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _pattern(value: str) -> str:
    try:
        compiled(value)
    except PatternInvalid as exc:
        msg = f"not a regular expression of RE2's syntax: {exc.reason}"
        raise ValueError(msg) from None
    return value


def _not_negative(value: timedelta) -> timedelta:
    if value < timedelta(0):
        msg = "a duration of at least 0 is needed"
        raise ValueError(msg)
    return value


Text = str
Flag = Annotated[bool, BeforeValidator(_flag)]
Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=0)]


def _with_unit(value: object) -> object:
    if isinstance(value, int) and value:
        msg = f"a duration with its unit is needed, such as {value}s or {value}h"
        raise ValueError(msg)
    return value


SignedDuration = Annotated[timedelta, BeforeValidator(parse_duration)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration), AfterValidator(_not_negative)]
UnitDuration = Annotated[Duration, BeforeValidator(_with_unit)]
"""As Go's registries read it here: a bare number, which elsewhere is nanoseconds, is refused."""
Pattern = Annotated[str, AfterValidator(_pattern)]
DriverFlag = Annotated[Flag, BeforeValidator(_driver_flag)]
"""A driver's parameter may be in quotes."""
DriverWhole = Annotated[Whole, BeforeValidator(_driver_whole)]
DriverCount = Annotated[Count, BeforeValidator(_driver_whole)]
Lower = BeforeValidator(_lower)
"""For words whose case does not matter."""
Required = Annotated[Text, Field(min_length=1)]
Secret = Annotated[str, Field(repr=False)]
"""Text that must not be shown."""
