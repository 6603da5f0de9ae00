"""Log lines: their fields and format; and the access log, written without ceremony as it is on every path."""

import asyncio
import json
import logging
import mmap
import os
import random
import re
import select
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol, TextIO

import structlog

LEVELS = {"error": 40, "warn": 30, "info": 20, "debug": 10, "trace": 5}

_NUMBERS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "exception": 40, "critical": 50}

_level = mmap.mmap(-1, 1)
"""The least number of lines that are written; shared with processes that are forked, so that all change at once."""

_FLUSH_S = 0.05

REQUEST_ID_PATTERN = "[A-Za-z0-9._:/+=@-]{1,128}"
_REQUEST_ID = re.compile(REQUEST_ID_PATTERN, re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Settings for where the log goes and how it looks (the ``log`` section)."""

    level: str = "info"
    formatter: str = "json"
    output: str = "stdout"
    fields: Mapping[str, object]
    access_disabled: bool = False
    access_formatter: str = "json"


class Logger(Protocol):
    """The part of a structlog logger that our code uses."""

    def debug(self, event: str, **fields: object) -> object:
        """Say what happened, for somebody who looks for a mistake."""

    def info(self, event: str, **fields: object) -> object:
        """Say what happened."""

    def warning(self, event: str, **fields: object) -> object:
        """Say what somebody should look at."""

    def error(self, event: str, **fields: object) -> object:
        """Say what somebody must act on."""

    def exception(self, event: str, **fields: object) -> object:
        """As :meth:`error`, with the exception being handled."""


def get_log(component: str) -> Logger:
    """The logger of one part of the program."""
    log: Logger = structlog.get_logger(component=component)
    return log


def configure(settings: LogSettings) -> None:
    """Set up logging for this process, that of libraries included."""
    stream = _stream(settings.output)
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.formatter == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)
    )
    set_level(settings.level)
    structlog.configure(
        processors=[
            _drop_unimportant,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _with_fields(settings.fields),
            *([_tracebacks()] if settings.formatter == "json" else []),
            structlog.processors.EventRenamer("msg") if settings.formatter == "json" else _unchanged,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    level = max(LEVELS[settings.level], logging.WARNING)
    logging.basicConfig(stream=stream, level=level, format="%(levelname)s %(name)s %(message)s")


def set_level(level: str) -> None:
    """Write lines of this importance and above from now on, in this process and in all that were forked from it."""
    _level[0] = LEVELS[level]


def request_id(given: str | None) -> str:
    """The id of a request: what a proxy in front *gave* it, if that is harmless, or a new one."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return f"{random.getrandbits(128):032x}"


class AccessRecord(NamedTuple):
    """One request, for the access log."""

    request_id: str
    method: str
    uri: str
    host: str
    status: int
    duration_s: float
    written_bytes: int
    remote: str
    user_agent: str
    actor: str
    actor_type: str = ""
    projects: tuple[str, ...] = ()
    """The GitLab projects that the credentials are for."""


class AccessLog:
    """One line a request, with the field names of GitLab's registry (LOG-002)."""

    def __init__(self, settings: LogSettings) -> None:
        # Kept: a descriptor outlives its file only as the number of somebody else's.
        self._stream = _stream(settings.output)
        self._lines: list[bytes] = []
        self._now, self._now_text = 0, ""
        self._format = self._json if settings.access_formatter == "json" else self._text
        self._is_on = not settings.access_disabled
        self._tail = "".join(
            f",{json.dumps(str(key))}:{json.dumps(value, default=str)}" for key, value in settings.fields.items()
        )

    @property
    def is_enabled(self) -> bool:
        """Return whether lines are written: the level may change."""
        return self._is_on and _level[0] <= LEVELS["info"]

    def write(self, record: AccessRecord) -> None:
        """Write the line of one request, within a twentieth of a second."""
        if not self._lines:
            asyncio.get_running_loop().call_later(_FLUSH_S, self.flush)
        self._lines.append(self._format(record).encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        """Write what has gathered, in pieces that other processes writing to the same pipe cannot cut."""
        piece = bytearray()
        for line in self._lines:
            if piece and len(piece) + len(line) > select.PIPE_BUF:
                self._write_out(piece)
                piece.clear()
            piece += line
        self._lines.clear()
        if piece:
            self._write_out(piece)

    def _write_out(self, piece: bytearray) -> None:
        fileno, rest = self._stream.fileno(), memoryview(piece)
        while rest:
            rest = rest[os.write(fileno, rest) :]

    def _second(self, now: int) -> str:
        if now != self._now:
            self._now, self._now_text = now, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        return self._now_text

    def _json(self, record: AccessRecord) -> str:
        quote = json.dumps
        now = time.time()
        who = _who(record.actor, record.actor_type, record.projects)
        return (
            f'{{"time":"{self._second(int(now))}.{int(now % 1 * 1000):03d}Z",'
            f'"level":"info","msg":"access","correlation_id":{quote(record.request_id)},'
            f'"method":{quote(record.method)},"uri":{quote(record.uri)},"host":{quote(record.host)},'
            f'"status":{record.status},"duration_ms":{record.duration_s * 1000:.3f},'
            f'"written_bytes":{record.written_bytes},"remote_ip":{quote(record.remote)},'
            f'"user_agent":{quote(record.user_agent)},{who}{self._tail}}}\n'
        )

    def _text(self, record: AccessRecord) -> str:
        moment = self._second(int(time.time()))
        return (
            f"{record.remote} - {_plain(record.actor) or '-'} [{moment}Z] "
            f'"{_plain(record.method)} {_plain(record.uri)} HTTP/1.1" {record.status} {record.written_bytes} '
            f'"{_plain(record.user_agent)}" {record.duration_s * 1000:.1f}ms {record.request_id}\n'
        )


@lru_cache(maxsize=1024)
def _who(actor: str, actor_type: str, projects: tuple[str, ...]) -> str:
    """The same few people ask again and again."""
    fields: dict[str, object] = {"auth.user.name": actor}
    if actor_type:
        fields["auth.user.type"] = actor_type
    if projects:
        fields["auth.project_paths"] = projects
    return json.dumps(fields, separators=(",", ":"))[1:-1]


def _plain(text: str) -> str:
    """Text on one line of a terminal: what could break out of the line, or forge one, is escaped."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(char if char.isprintable() and char not in '"\\' else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return f"\\x{ord(char):02x}" if char in '"\\' else char.encode("unicode_escape").decode("ascii")


def _stream(output: str) -> TextIO:
    if output == "discard":
        return _nowhere()
    return sys.stderr if output == "stderr" else sys.stdout


@lru_cache(maxsize=1)
def _nowhere() -> TextIO:
    return open("/dev/null", "w", encoding="utf-8")  # noqa: PTH123 - lives as long as the process


def _drop_unimportant(_logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if _NUMBERS.get(name, 50) < _level[0]:
        raise structlog.DropEvent
    return event


def _with_fields(fields: Mapping[str, object]) -> structlog.typing.Processor:
    def add(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        for key, value in fields.items():
            event.setdefault(key, value)
        return event

    return add


def _tracebacks() -> structlog.typing.Processor:
    """Tracebacks as JSON, without local variables: those hold payloads and passwords."""
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return structlog.processors.ExceptionRenderer(transformer)


def _unchanged(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return event


def _to_standard_error(*_arguments: object) -> structlog.PrintLogger:
    return structlog.PrintLogger(sys.stderr)


# Until somebody says otherwise: a command that sets up no log has its result on standard output.
structlog.configure(logger_factory=_to_standard_error)
