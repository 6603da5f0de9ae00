"""Logging that a test sets up in this process, taken back when it ends."""

import contextlib
import functools
import logging
from collections.abc import Iterator
from unittest import mock

import structlog


@contextlib.contextmanager
def logging_as_before() -> Iterator[None]:
    """Let :func:`moorage.telemetry.configure` be called within, and leave no logger with what it has set up.

    A logger that is used while caching is on keeps its processors for good, and :func:`structlog.testing.capture_logs`
    of a later test would see nothing of it.
    """
    before, handlers = structlog.get_config(), list(logging.getLogger().handlers)
    uncached = functools.partial(_configure_uncached, structlog.configure)
    try:
        with mock.patch.object(structlog, "configure", uncached):
            yield
    finally:
        structlog.configure(**before)
        logging.getLogger().handlers[:] = handlers


def _configure_uncached(configure: object, **settings: object) -> None:
    assert callable(configure)
    configure(**{**settings, "cache_logger_on_first_use": False})
