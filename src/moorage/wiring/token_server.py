"""The token server, put together: its files are read, and it is an application that a server's processes run."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

from moorage.auth.basic import PasswordGuard
from moorage.auth.watched import Watched
from moorage.errors import ConfigurationError, Mistake
from moorage.server.address import ListenAddress
from moorage.server.application import Application, ServerProcess
from moorage.server.server_settings import ServerSettings
from moorage.server.tls.tls_contexts import CHECK, FileTLS, Terms
from moorage.telemetry import get_log
from moorage.token_server.app import PATHS, TokenApp
from moorage.token_server.files import open_rules, open_users, reading
from moorage.token_server.issuing import TokenIssuer
from moorage.token_server.key_ring import FILE_LIMIT_BYTES, KeyFolder, KeyRing
from moorage.token_server.settings import TokenServerSettings
from moorage.web.access_log import AccessLog
from moorage.work.loop import Loop, LoopPace, every

_TIDY = timedelta(hours=1)
_DRAIN_TIME = timedelta(seconds=5)
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

    def app(self, path: str, access_log: AccessLog) -> TokenApp:
        """Make the application for one process. It answers at *path* only; empty: where token servers usually do."""
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
        return TokenApp(
            issuer,
            guard,
            self._users.get,
            refresh_lifetime=settings.refreshlifetime,
            access_log=access_log,
            paths=paths,
        )

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

    async def application(self, process: ServerProcess) -> Application:
        """Make the application of one process of a server that does nothing else."""
        del process
        app = self.app("", AccessLog(self._settings.log_settings))

        async def close() -> None:
            app.close()

        return Application(handler=app, chores=(self.keep,), close=close)

    def server_settings(self) -> ServerSettings:
        """Return the settings of that server: one process serves."""
        return ServerSettings(
            address=ListenAddress(self._settings.addr, key="addr"),
            log=self._settings.log_settings,
            drain_time=_DRAIN_TIME,
            tls=self.tls,
        )

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
