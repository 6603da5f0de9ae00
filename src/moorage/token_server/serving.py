"""``moorage token serve``: the files are read, and one process serves until it is told to stop."""

import asyncio
import signal
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

import uvloop
from aiohttp import web

from moorage.auth.basic import PasswordGuard
from moorage.auth.watched import Watched
from moorage.errors import ConfigurationError, Mistake
from moorage.http.connection import ConnectionServer
from moorage.server.address import ListenAddress
from moorage.server.tls.tls_contexts import CHECK, FileTLS, Terms
from moorage.telemetry import get_log
from moorage.token_server.app import PATHS, TokenApp
from moorage.token_server.files import open_rules, open_users, reading
from moorage.token_server.issuing import TokenIssuer
from moorage.token_server.key_ring import FILE_LIMIT_BYTES, KeyFolder, KeyRing
from moorage.token_server.settings import TokenServerSettings
from moorage.work.alongside import alongside
from moorage.work.loop import Loop, LoopPace, every

_TIDY = timedelta(hours=1)
_DRAIN_S = 5.0
_CONCERNS = 20

T = TypeVar("T")

_log = get_log("tokens")


class TokenServer:
    """Everything that is read before the first request."""

    def __init__(self, settings: TokenServerSettings) -> None:
        """Read the files, and make keys if there are none.

        Raises:
            ConfigurationError: something cannot be used; with every mistake.
        """
        self._settings = settings
        self._mistakes: list[Mistake] = []
        self.keys = KeyFolder(Path(settings.keys))
        users = self._tried("users", settings.users, lambda: open_users(settings))
        found = self._tried("rules", settings.rules, lambda: open_rules(settings))
        self.has_new_keys = bool(self._tried("keys", settings.keys, lambda: self.keys.prepare(time.time())))
        ring = self._tried("keys", str(self.keys.private), self._ring)
        self.tls = self._tls()
        if self._mistakes or users is None or found is None or ring is None:
            raise ConfigurationError(self._mistakes)
        self._users, self._rules, self._ring_of = users, found, ring
        self._said: tuple[object, object] | None = None
        self.say_concerns()

    def app(self, path: str = "") -> TokenApp:
        """Make the application for one process; *path*: it answers only there, not where a token server usually is."""
        settings = self._settings
        issuer = TokenIssuer(
            issuer=settings.issuer,
            service=settings.service,
            lifetime=settings.lifetime,
            rules=self._rules.get,
            ring=self._ring_of.get,
        )
        guard = PasswordGuard(settings.service, self._users.get)
        paths = frozenset({path}) if path else PATHS
        return TokenApp(issuer, guard, self._users.get, refresh_lifetime=settings.refreshlifetime, paths=paths)

    async def keep(self) -> None:
        """Look after the keys, and after who has which name, until cancelled."""
        tidying = Loop(
            self._tidy,
            LoopPace(interval=_TIDY, pauses_first=True),
            failures=(OSError, ValueError),
            on_failure=_say_untidy,
        )
        await asyncio.gather(tidying.run(), every(CHECK, self.say_concerns).run())

    def say_concerns(self) -> None:
        """Warn of users who get by ``{user}`` what is another rule's; again only when a file has changed."""
        now = self._rules.get(), self._users.get()
        if self._said is not None and all(one is other for one, other in zip(now, self._said, strict=True)):
            return
        self._said = now
        for concern in islice(now[0].concerns(now[1].hashes), _CONCERNS):
            _log.warning(concern)

    def run(self, on_ready: Callable[[], object]) -> None:
        """Serve until SIGTERM or SIGINT; *on_ready* is called when requests are answered.

        Raises:
            ConfigurationError: the address cannot be used.
        """
        listener = _bound(self._settings.addr)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(listener, on_ready))

    async def _serve(self, listener: socket.socket, on_ready: Callable[[], object]) -> None:
        server = web.ServerRunner(ConnectionServer(self.app()), handle_signals=False, shutdown_timeout=_DRAIN_S)
        await server.setup()
        context = None if self.tls is None else self.tls.context
        await web.SockSite(server, listener, ssl_context=context).start()
        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        refreshes = [] if self.tls is None else [every(CHECK, self.tls.refresh).run]
        async with alongside(self.keep, *refreshes):
            on_ready()
            await stop.wait()
        await server.cleanup()

    async def _tidy(self) -> None:
        """Drop keys that nothing needs any more."""
        self.keys.prepare(time.time())

    def _tls(self) -> FileTLS | None:
        tls = self._settings.tls
        if not tls.certificate:
            return None
        certificate, key = Path(tls.certificate), Path(tls.key)
        return self._tried("tls", tls.certificate, lambda: FileTLS(Terms(path="tls"), certificate, key))

    def _ring(self) -> Watched[KeyRing]:
        return Watched(self.keys.private, KeyRing.parse, limit_bytes=FILE_LIMIT_BYTES)

    def _tried(self, key: str, path: str, make: Callable[[], T]) -> T | None:
        """Return what *make* makes of a file; on a mistake, note it at the file's key and return None."""
        try:
            with reading(key, path):
                return make()
        except ConfigurationError as exc:
            self._mistakes += exc.mistakes
        return None


def _say_untidy(exc: Exception) -> None:
    _log.error("the folder of keys cannot be tidied; it will be tried again", error=str(exc))


def _bound(addr: str) -> socket.socket:
    try:
        return ListenAddress(addr).bind(1)[0]
    except ConfigurationError as exc:
        raise ConfigurationError([Mistake("addr", mistake.message) for mistake in exc.mistakes]) from exc
