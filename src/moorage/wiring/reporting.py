"""Error reports as the configuration has them."""

from functools import lru_cache

from moorage.config import Config
from moorage.errors import ConfigurationError, Mistake
from moorage.telemetry import ErrorReports


def error_reports(config: Config) -> ErrorReports | None:
    """Return where errors are reported; None: nowhere.

    Raises:
        ConfigurationError: it is asked for and cannot be done.
    """
    sentry = config.reporting.sentry
    return _sentry(sentry.dsn, sentry.environment) if sentry.enabled else None


@lru_cache(maxsize=1)
def _sentry(dsn: str, environment: str) -> ErrorReports:
    try:
        from moorage.reporting.sentry import SentryReports  # noqa: PLC0415 - it is an extra
    except ImportError:
        message = "needs the package sentry-sdk; install moorage[sentry], or set it to false"
        raise ConfigurationError([Mistake("reporting.sentry.enabled", message)]) from None
    try:
        if dsn:
            return SentryReports(dsn, environment=environment)
    except ValueError:
        pass
    message = "the project's DSN is needed, such as https://key@sentry.example.com/1"
    raise ConfigurationError([Mistake("reporting.sentry.dsn", message)])
