"""Start of the control plane: its tables, then its processes."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import cast

from aiohttp.web_request import BaseRequest
from django.urls import get_resolver

from moorage.control.configuration import ControlConfiguration, LoadedControl
from moorage.control.current import start_django
from moorage.control.sent_requests import wsgi_application
from moorage.control.serving.database_opening import open_control
from moorage.errors import ConfigurationError, Mistake
from moorage.server.address import ListenAddress
from moorage.server.allocator import keep_memory_small
from moorage.server.application import Application, MakeApplication, ServerProcess
from moorage.server.errand import Errand
from moorage.server.server_settings import ServerSettings
from moorage.server.supervisor import Supervisor
from moorage.server.tls.tls_contexts import FileTLS, ServerTLS, Terms
from moorage.telemetry import LogSettings, configure, get_log
from moorage.web.access_log import AccessLog
from moorage.web.beside import Handler
from moorage.web.responses import Response
from moorage.web.wsgi_bridge import WSGIApplication, WSGICallable

_DRAIN_TIME = timedelta(seconds=5)
_COLLECT_EVERY = 5000
"""Each request leaves cycles of Django's behind: with the registry's figure they are 8 MiB of each process."""

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
    start_django(loaded)

    def prepare() -> None:
        open_control(loaded)
        before()

    prepared = Errand(prepare)  # What looks after tables stays in memory else, in each process.
    make = _maker(configuration, log)
    prepared.wait()
    if configuration.registry.enabled:
        from moorage.control.tokens.signing import registry_key  # noqa: PLC0415 - Django has started

        registry_key()  # Else each login would be answered by 500, and each job would fail, on a node that is "ready".
    keep_memory_small()
    redirect = configuration.http.redirect
    scheme, tell = "http" if tls is None else "https", on_ready or (lambda url: _log.info("listening", url=url))
    supervisor = Supervisor(
        settings=ServerSettings(
            address=ListenAddress(configuration.http.addr),
            log=log,
            drain_time=_DRAIN_TIME,
            collect_every=_COLLECT_EVERY,
            count=configuration.http.workers,
            tls=tls,
            # The second address of a server; the control plane has no debug address.
            debug_address=ListenAddress(redirect, key="http.redirect") if redirect else None,
        ),
        make=make,
        on_ready=lambda address: tell(configuration.http.host or f"{scheme}://{address}"),
    )
    return supervisor.run()


def _maker(configuration: ControlConfiguration, log: LogSettings) -> MakeApplication:
    """Load the application, before any process is forked, and return what makes each process's part of it."""
    from moorage.control.serving.background import work_beside_requests  # noqa: PLC0415 - Django has started

    application = cast("WSGICallable", wsgi_application())
    chores = [work_beside_requests] if configuration.registry.enabled else []
    get_resolver().check()  # It imports the routes and all that answers; else each process would, at its first request.

    async def make(_process: ServerProcess) -> Application:
        app = WSGIApplication(
            application,
            access_log=AccessLog(log),
            threads=configuration.http.threads,
            proxies=configuration.http.trustedproxies,
            is_https=configuration.has_https(),
        )

        async def close() -> None:
            app.close()

        sending_on = _sending_on(configuration.http.origin) if configuration.http.redirect else None
        return Application(handler=app, debug=sending_on, chores=chores, close=close)

    return make


def log_settings(configuration: ControlConfiguration) -> LogSettings:
    """Return the settings of both logs."""
    form = configuration.log
    is_quiet = not configuration.accesslog
    return LogSettings(formatter=form, fields={}, access_disabled=is_quiet, access_formatter=form)


def _tls(configuration: ControlConfiguration) -> ServerTLS | None:
    tls, terms = configuration.http.tls, Terms(path="http.tls")
    if not tls.is_on:
        return None
    if tls.letsencrypt.cachefile:
        from moorage.server.tls.acme_contexts import IssuedTLS  # noqa: PLC0415 - a start without it need not wait

        return IssuedTLS(terms, tls.letsencrypt)
    try:
        return FileTLS(terms, Path(tls.certificate), Path(tls.key))
    except (OSError, ValueError) as exc:
        message = f"{tls.certificate} cannot be used: {exc}"
        raise ConfigurationError([Mistake("http.tls.certificate", message)]) from None


def _sending_on(origin: str) -> Handler:
    """Answers of plain HTTP: 308, which keeps the method, to the same path of *origin*, whatever host was named."""

    async def send_on(request: BaseRequest) -> Response:
        path = request.rel_url.raw_path_qs
        # Without the slash the rest would be read as part of the host.
        return Response(308, {"Location": origin + (path if path.startswith("/") else "/")})

    return send_on
