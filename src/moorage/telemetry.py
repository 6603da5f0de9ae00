"""Log lines: their fields and format. The line of each request is in ``web/access_log``."""

import logging
import os
import random
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TextIO

import structlog

from moorage.handed_on import SharedMemory

LEVELS = {"error": 40, "warn": 30, "info": 20, "debug": 10, "trace": 5}

_NUMBERS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "exception": 40, "critical": 50}

level_of_all = SharedMemory(1)
"""The least number of lines that are written; shared with processes that are forked, so that all change at once."""

REQUEST_ID_PATTERN = "[A-Za-z0-9._:/+=@-]{1,128}"
_REQUEST_ID = re.compile(REQUEST_ID_PATTERN, re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Settings for where the log goes and how it looks (the ``log`` section)."""

    level: str = "info"
    formatter: str = "json"
    output: str = "stdout"
    fields: Mapping[str, object]
    reports_caller: bool = False
    """True: lines say which code wrote them."""
    reports: "ErrorReports | None" = None
    """The receiver of lines that are errors, besides the log; None: nobody."""
    access_disabled: bool = False
    access_formatter: str = "json"


class ErrorReports(Protocol):
    """A place where errors are reported, besides the log."""

    def __call__(self, fields: Mapping[str, object]) -> None:
        """Report a line that is an error; ``exc_info`` is among its fields where it is about an exception."""

    def flush(self) -> None:
        """Send what waits, but not for long: the process is about to end."""


class Logger(Protocol):
    """The part of a structlog logger that our code uses."""

    def debug(self, event: str, **fields: object) -> object:
        """Log a detail, for debugging."""

    def info(self, event: str, **fields: object) -> object:
        """Say what happened."""

    def warning(self, event: str, **fields: object) -> object:
        """Log what an administrator should look at."""

    def error(self, event: str, **fields: object) -> object:
        """Log what an administrator must act on."""

    def exception(self, event: str, **fields: object) -> object:
        """As :meth:`error`, with the exception being handled."""


def get_log(component: str) -> Logger:
    """The logger of one part of the program."""
    log: Logger = structlog.get_logger(component=component)
    return log


def configure(settings: LogSettings) -> None:
    """Set up logging for this process, that of libraries included."""
    stream = output_stream(settings.output)
    is_json, is_logstash = settings.formatter != "text", settings.formatter == "logstash"
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if is_json
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)
    )
    set_level(settings.level)
    structlog.configure(
        processors=[
            _drop_unimportant,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="@timestamp" if is_logstash else "time"),
            _with_fields({**settings.fields, **({"@version": "1"} if is_logstash else {})}),
            *([_with_caller] if settings.reports_caller else []),
            *([] if settings.reports is None else [_reporting(settings.reports)]),
            *([_tracebacks()] if is_json else []),
            structlog.processors.EventRenamer("message" if is_logstash else "msg") if is_json else _unchanged,
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
    level_of_all.memory[0] = LEVELS[level]


def is_written(level: str) -> bool:
    """Return whether lines of this importance are written now."""
    return level_of_all.memory[0] <= LEVELS[level]


def output_stream(output: str) -> TextIO:
    """The stream of ``log.output``."""
    if output == "discard":
        return _nowhere()
    return sys.stderr if output == "stderr" else sys.stdout


def request_id(given: str | None) -> str:
    """The id of a request: what a proxy in front *gave* it, if that is harmless, or a new one."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return f"{random.getrandbits(128):032x}"


@lru_cache(maxsize=1)
def _nowhere() -> TextIO:
    # It lives as long as the process: nobody is to close it, and nothing warns of that at the end.
    return open(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), "w", encoding="utf-8", closefd=False)


def _drop_unimportant(_logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if _NUMBERS.get(name, 50) < level_of_all.memory[0]:
        raise structlog.DropEvent
    return event


def _with_fields(fields: Mapping[str, object]) -> structlog.typing.Processor:
    def add(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        for key, value in fields.items():
            event.setdefault(key, value)
        return event

    return add


_CALLER = structlog.processors.CallsiteParameterAdder(
    {
        structlog.processors.CallsiteParameter.FUNC_NAME,
        structlog.processors.CallsiteParameter.PATHNAME,
        structlog.processors.CallsiteParameter.LINENO,
    },
    additional_ignores=[__name__],
)


def _with_caller(logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """With the names that Distribution's log has."""
    event = _CALLER(logger, name, event)  # type: ignore[arg-type]  # it is given no logger of logging's
    event["func"], path, line = event.pop("func_name"), event.pop("pathname"), event.pop("lineno")
    event["file"] = f"{path}:{line}"
    return event


def _reporting(reports: ErrorReports) -> structlog.typing.Processor:
    def report(_logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if _NUMBERS.get(name, 50) >= LEVELS["error"]:
            reports(event)
        return event

    return report


def _tracebacks() -> structlog.typing.Processor:
    """Tracebacks as JSON, without local variables: those hold payloads and passwords."""
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return structlog.processors.ExceptionRenderer(transformer)


def _unchanged(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return event


def _to_standard_error(*_arguments: object) -> structlog.PrintLogger:
    return structlog.PrintLogger(sys.stderr)


# Until it is set otherwise: a command that sets up no log has its result on standard output.
structlog.configure(logger_factory=_to_standard_error)
