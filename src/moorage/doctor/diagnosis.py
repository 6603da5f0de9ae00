"""Results of the doctor's checks: a line each, with what to do where one fails; no secret is ever in one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from pydantic import BaseModel

from moorage.config import Config

_SHORTEST_HIDDEN = 4
"""A shorter secret would make holes in words that have nothing to do with it."""
_HIDDEN = "(hidden)"


class Grade(Enum):
    """Result of a check, as it is printed."""

    GOOD = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line of the report."""

    check: str
    grade: Grade
    said: str
    remedy: str = ""
    """The change that would help; empty where nothing need be done, or *said* tells it."""


class Report:
    """All lines of one run."""

    def __init__(self, tell: Callable[[Diagnosis], object] = lambda _: None) -> None:
        """*tell*: is told of each line as it comes."""
        self.lines: list[Diagnosis] = []
        self._tell = tell
        self._secrets: list[str] = []

    @property
    def is_good(self) -> bool:
        """True if nothing has failed."""
        return not any(line.grade is Grade.FAILED for line in self.lines)

    def hide(self, config: Config) -> None:
        """Never show what *config* keeps secret, whoever puts it into an error."""
        self._secrets = sorted({text for text in secrets_of(config) if len(text) >= _SHORTEST_HIDDEN}, key=len)[::-1]

    def good(self, check: str, said: str) -> None:
        """Say that something is as it should be."""
        self._add(Diagnosis(check, Grade.GOOD, said))

    def warn(self, check: str, said: str, remedy: str = "") -> None:
        """Say what somebody should look at."""
        self._add(Diagnosis(check, Grade.WARNING, said, remedy))

    def fail(self, check: str, said: str, remedy: str = "") -> None:
        """Say what does not work, and what to do about it."""
        self._add(Diagnosis(check, Grade.FAILED, said, remedy))

    def skip(self, check: str, said: str, remedy: str = "") -> None:
        """Say what could not be looked at, or need not be."""
        self._add(Diagnosis(check, Grade.SKIPPED, said, remedy))

    def _add(self, line: Diagnosis) -> None:
        line = Diagnosis(line.check, line.grade, self._shown(line.said), self._shown(line.remedy))
        self.lines.append(line)
        self._tell(line)

    def _shown(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return " ".join(text.split())  # One line, whatever a server has said.


def secrets_of(section: BaseModel) -> Iterator[str]:
    """Yield every text of a configuration that must not be shown."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        for found in value if isinstance(value, list | tuple) else (value,):
            if isinstance(found, BaseModel):
                yield from secrets_of(found)
        if not field.repr:
            yield from _texts(value)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for below in value.values():
            yield from _texts(below)
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _texts(below)
