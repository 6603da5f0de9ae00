"""Start of the control plane: its tables, then its processes."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import cast

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from moorage.control.configuration import ControlConfiguration, LoadedControl, read_control
from moorage.control.current import start_django
from moorage.errors import ConfigurationError, Mistake
from moorage.server.address import ListenAddress
from moorage.server.application import Application, ServerProcess
from moorage.server.server_settings import ServerSettings
from moorage.server.supervisor import Supervisor
from moorage.server.tls.tls_contexts import FileTLS, Terms
from moorage.telemetry import LogSettings, configure, get_log
from moorage.web.access_log import AccessLog
from moorage.web.wsgi_bridge import WSGIApplication, WSGICallable

_DRAIN_TIME = timedelta(seconds=5)

_log = get_log("control")


def start_control(
    loaded: LoadedControl,
    *,
    before: Callable[[], object] = lambda: None,
    on_ready: Callable[[str], object] | None = None,
) -> int:
    """Start the control plane and stay until it is stopped; return the exit status.

    Args:
        loaded: the configuration.
        before: done once the tables are there, before anything is answered.
        on_ready: told the URL, once requests are answered; None: a line of the log says it.

    Raises:
        ConfigurationError: it cannot be started; with every mistake.
    """
    configuration = loaded.configuration
    log = log_settings(configuration)
    configure(log)
    for warning in loaded.warnings:
        _log.warning(warning)
    tls = _tls(configuration)
    open_control(loaded)
    before()
    application = cast("WSGICallable", get_wsgi_application())
    connections.close_all()  # No process that is forked inherits one.
    scheme, tell = "http" if tls is None else "https", on_ready or (lambda url: _log.info("listening", url=url))

    async def make(process: ServerProcess) -> Application:
        del process
        app = WSGIApplication(
            application,
            access_log=AccessLog(log),
            threads=configuration.http.threads,
            proxies=configuration.http.trustedproxies,
            is_https=configuration.has_https(),
        )

        async def close() -> None:
            app.close()

        return Application(handler=app, close=close)

    supervisor = Supervisor(
        settings=ServerSettings(
            address=ListenAddress(configuration.http.addr),
            log=log,
            drain_time=_DRAIN_TIME,
            count=configuration.http.workers,
            tls=tls,
        ),
        make=make,
        on_ready=lambda address: tell(configuration.http.host or f"{scheme}://{address}"),
    )
    return supervisor.run()


def open_configured(path: Path) -> LoadedControl:
    """Read *path*, and open its database for a command.

    Raises:
        ConfigurationError: it cannot be used; with every mistake.
    """
    loaded = read_control(path, os.environ)
    open_control(loaded)
    return loaded


def open_control(loaded: LoadedControl) -> None:
    """Start Django; with SQLite, bring the tables up to date, which with PostgreSQL is a command of its own.

    Raises:
        ConfigurationError: the database cannot be used, or its tables are not up to date.
    """
    start_django(loaded)
    pending = pending_migrations()
    if not pending:
        return
    if connection.vendor == "sqlite":
        apply_migrations()
        return
    message = f"its tables lack {len(pending)} migrations; run moorage control migrate first, on one node"
    raise ConfigurationError([Mistake("database", message)])


def pending_migrations() -> list[str]:
    """Return the names of migrations that were not applied yet.

    Raises:
        ConfigurationError: the database does not answer.
    """
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as exc:
        raise _unusable(exc) from None
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def apply_migrations() -> None:
    """Bring the tables up to date.

    Raises:
        ConfigurationError: the database does not take it.
    """
    try:
        call_command("migrate", verbosity=0, interactive=False)
    except DatabaseError as exc:
        raise _unusable(exc) from None


def log_settings(configuration: ControlConfiguration) -> LogSettings:
    """Return the settings of both logs."""
    form = configuration.log
    is_quiet = not configuration.accesslog
    return LogSettings(formatter=form, fields={}, access_disabled=is_quiet, access_formatter=form)


def _unusable(exc: DatabaseError) -> ConfigurationError:
    lines = str(exc).strip().splitlines()
    return ConfigurationError([Mistake("database", f"it cannot be used: {lines[0] if lines else type(exc).__name__}")])


def _tls(configuration: ControlConfiguration) -> FileTLS | None:
    tls = configuration.http.tls
    if not tls.certificate:
        return None
    try:
        return FileTLS(Terms(path="http.tls"), Path(tls.certificate), Path(tls.key))
    except (OSError, ValueError) as exc:
        message = f"{tls.certificate} cannot be used: {exc}"
        raise ConfigurationError([Mistake("http.tls.certificate", message)]) from None
