"""``moorage token serve`` as its own process, with files in a folder of its own."""

import contextlib
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from http import HTTPStatus
from pathlib import Path

import bcrypt
import yaml

from support.answering import status_of
from support.commands import moorage
from support.daemon import START_DEADLINE_S, STOP_DEADLINE_S
from support.ports import free_port
from support.server_under_test import ServerUnderTest

SERVICE, ISSUER = "registry.test", "moorage-tokens"


@cache
def hashed(password: str) -> str:
    """As ``htpasswd -B`` writes it, at the least cost."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


class TokenServer(ServerUnderTest):
    """``with TokenServer(folder, rules, users) as server:`` answers at ``server.url``.

    *users* are passwords by name; *settings* are added to the file; *trusts* is what a client needs if they have tls.
    """

    def __init__(
        self,
        folder: Path,
        rules: Mapping[str, object],
        users: Mapping[str, str],
        *,
        trusts: ssl.SSLContext | None = None,
        within: Sequence[str] = (),
        **settings: object,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.trusts = trusts
        self.within = within
        self.address = str(settings.pop("addr", f"127.0.0.1:{free_port()}"))
        self.path = folder / "tokens.yml"
        self.rules, self.users, self.keys = folder / "rules.yml", folder / "users", folder / "keys"
        self.log_path = folder / "log"
        self.write_rules(rules)
        self.write_users(users)
        names = {"users": "users", "rules": "rules.yml", "keys": "keys", "service": SERVICE, "issuer": ISSUER}
        self.path.write_text(yaml.safe_dump({"addr": self.address, **names, **settings}))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{'http' if self.trusts is None else 'https'}://{self.address}/token"

    @property
    def bundle(self) -> Path:
        return self.keys / "registry.pem"

    def auth_section(self, realm: str | None = None) -> dict[str, object]:
        """``auth`` of a registry that trusts this server."""
        names = {"realm": realm or self.url, "service": SERVICE, "issuer": ISSUER}
        return {"token": {**names, "rootcertbundle": str(self.bundle)}}

    def write_rules(self, rules: Mapping[str, object]) -> None:
        self._replace(self.rules, yaml.safe_dump(dict(rules)))

    def write_users(self, users: Mapping[str, str]) -> None:
        self._replace(self.users, "".join(f"{name}:{hashed(password)}\n" for name, password in users.items()))

    def _replace(self, path: Path, text: str) -> None:
        fresh = path.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(path)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``moorage token <words>``."""
        return moorage("token", *words, timeout_s=60)

    def start(self) -> None:
        before = self.log.count("listening")
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.within, sys.executable, "-m", "moorage", "token", "serve", str(self.path)],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ},
                start_new_session=True,
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while self.log.count("listening") == before:
            assert self.process.poll() is None, self.log[-4000:]
            assert time.monotonic() < deadline, self.log[-4000:]
            time.sleep(0.05)

    def stop(self) -> int:
        if self.process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        return self.process.wait(STOP_DEADLINE_S)

    def alive(self) -> bool:
        return status_of(self.url.removesuffix("token"), tls=self.trusts) == HTTPStatus.OK
