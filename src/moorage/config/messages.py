"""Mistakes that pydantic finds, with their place in the file and in our words."""

from collections.abc import Callable, Iterator, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from moorage.config.shown_names import nearest, shown
from moorage.errors import Mistake

_MESSAGES = {
    "missing": "is needed",
    "list_type": "a list is needed",
    "dict_type": "a mapping is needed",
    "model_type": "a mapping is needed",
    "model_attributes_type": "a mapping is needed",
    "string_type": "text is needed",
    "string_too_short": "must not be empty",
    "float_type": "a number is needed",
}


Place = tuple[int | str, ...]
"""Keys and numbers of items, from the outermost on."""


def mistakes_of(
    exc: ValidationError, path: str, *, known: Sequence[str] = (), hint: Callable[[Place], str] | None = None
) -> Iterator[Mistake]:
    """Each mistake, below *path*; *known* are keys that an unknown one may have been meant for, or *hint* says it."""
    for error in exc.errors(include_url=False, include_context=True, include_input=False):
        if error["type"] == "extra_forbidden" and hint is not None:
            yield Mistake(_path(path, error["loc"]), f"unknown key; {hint(error['loc'])}")
        else:
            yield Mistake(_path(path, error["loc"]), _message(error, known))


def _path(prefix: str, parts: tuple[int | str, ...]) -> str:
    text = prefix
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{shown(part)}"
    return text.lstrip(".")


def _message(error: ErrorDetails, known: Sequence[str]) -> str:
    context = error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        near = nearest(str(error["loc"][-1]).lower(), known)
        return f"unknown key; did you mean {near}?" if near else f"unknown key; there are {', '.join(known)}"
    if error["type"] == "value_error":
        return str(context.get("error", "is wrong"))
    if isinstance(context.get("gt"), str):  # A timedelta, as Python writes it.
        return "a duration of more than 0 is needed"
    return _MESSAGES.get(error["type"]) or error["msg"].replace("Input should", "should")
