"""Reading of a part of a plan: values by their keys, and every mistake noted with its path."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import yaml

from moorage.errors import ConfigurationError, Mistake, Refused

T = TypeVar("T")


class PlanSection:
    """A mapping of the file. What is wrong in it is noted in *mistakes*, and read as if it were not there."""

    def __init__(self, value: object, path: str, mistakes: list[Mistake]) -> None:
        self.path = path
        self._mistakes = mistakes
        self._known: list[str] = []
        self._values: Mapping[str, object] = {}
        if isinstance(value, dict):
            self._values = {str(key): item for key, item in value.items()}
        elif value not in ("", None):
            self.wrong("", "keys with values are needed")

    def wrong(self, key: str, message: str) -> None:
        """Take note of a mistake."""
        self._mistakes.append(Mistake(".".join(filter(None, (self.path, key))), message))

    def has(self, key: str) -> bool:
        """Return whether a key is there."""
        return key in self._values

    def text(self, key: str, *, is_needed: bool = False) -> str:
        """Return a text; empty: it is not there."""
        value = self._value(key)
        if isinstance(value, str) and value:
            return value
        if value not in (None, ""):
            self.wrong(key, "a text is needed")
        elif is_needed:
            self.wrong(key, "is needed")
        return ""

    def texts(self, key: str) -> Sequence[str]:
        """Return a list of texts; one text is a list of one."""
        value = self._value(key)
        if value in (None, ""):
            return ()
        found = [value] if isinstance(value, str) else value
        if isinstance(found, list) and all(isinstance(item, str) and item for item in found):
            return tuple(found)
        self.wrong(key, "a list of texts is needed")
        return ()

    def truth(self, key: str, *, otherwise: bool) -> bool:
        """Return a truth value."""
        value = self._value(key)
        if value is None:
            return otherwise
        if value in ("true", "false"):
            return value == "true"
        self.wrong(key, "true or false is needed")
        return otherwise

    def number(self, key: str) -> int | None:
        """Return a whole number of at least 1; None: it is not there."""
        value = self._value(key)
        if value is None:
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit() and int(value[:9]) > 0:
            return int(value[:9])
        self.wrong(key, "a whole number of at least 1 is needed")
        return None

    def parsed(self, key: str, parse: Callable[[str], T]) -> T | None:
        """Return a text that has been read further; None: it is not there."""
        text = self.text(key)
        try:
            return parse(text) if text else None
        except (Refused, ValueError) as exc:
            self.wrong(key, str(exc))
            return None

    def section(self, key: str) -> "PlanSection":
        """Return a section below; without keys if it is not there."""
        return PlanSection(self._value(key), ".".join(filter(None, (self.path, key))), self._mistakes)

    def sections(self) -> Iterator[tuple[str, "PlanSection"]]:
        """Yield every key with the section below it."""
        for key in self._values:
            yield key, self.section(key)

    def entries(self, key: str) -> Sequence["PlanSection"]:
        """Return the sections of a list."""
        value = self._value(key)
        if not isinstance(value, list) or not value:
            self.wrong(key, "a list is needed, with an entry for each source")
            return ()
        return [PlanSection(item, f"{key}[{number}]", self._mistakes) for number, item in enumerate(value)]

    def end(self) -> None:
        """Note the keys that nobody has asked for."""
        for key in self._values:
            if key not in self._known:
                near = difflib.get_close_matches(key, self._known, n=1)
                self.wrong(key, f"unknown key; did you mean {near[0]}?" if near else "unknown key")

    def _value(self, key: str) -> object:
        self._known.append(key)
        return self._values.get(key)


def read_yaml(text: str) -> object:
    """Return what is in a file of YAML, all that is plain as text: ``1.10`` is a tag, and no number.

    Raises:
        ConfigurationError: it is no YAML.
    """
    try:
        return yaml.load(text, yaml.BaseLoader)  # noqa: S506 - it makes nothing but texts, lists and mappings
    except (yaml.YAMLError, RecursionError) as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise ConfigurationError([Mistake("", f"it is no YAML{where}: {getattr(exc, 'problem', exc)}")]) from None
