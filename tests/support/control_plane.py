"""``moorage control serve`` as its own process, with users, a project and a credential of each kind."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import yaml

from moorage.token_server.key_ring import KeyFolder
from support.daemon import STOP_DEADLINE_S
from support.ports import free_port
from support.server_under_test import ServerUnderTest

ISSUER, SERVICE = "moorage-control", "container_registry"
START_DEADLINE_S = 60.0
_NOBODY = "http://127.0.0.1:1/"
"""Where no registry is, whatever this machine has at the usual port."""

_TESTS = Path(__file__).parents[1]


class ControlPlane(ServerUnderTest):
    """``with ControlPlane(folder) as control:`` gives tokens at ``control.realm``.

    ``control.credentials`` is what ``inhabitants`` has made: a name and a secret by the kind.
    """

    inhabitants = "support.control_inhabitants"
    """The module that makes them."""

    def __init__(
        self, folder: Path, *, workers: int = 1, api_url: str = "", more: Mapping[str, object] | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.realm = f"http://{self.address}/jwt/auth"
        self.file = folder / "control.yml"
        self.log_path = folder / "control.log"
        self.keys = KeyFolder(folder / "keys")
        self.keys.prepare(time.time())
        registry = {"enabled": True, "host": "127.0.0.1", "port": 5000, "key": "keys", "issuer": ISSUER}
        registry["api_url"] = api_url or _NOBODY
        http = {"addr": self.address, "workers": workers}
        secret = "a-secret-of-tests-that-is-long-enough"
        self.file.write_text(yaml.safe_dump({"http": http, "secret": secret, "registry": registry, **(more or {})}))
        self.credentials: dict[str, tuple[str, str]] = {}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def auth_section(self) -> dict[str, object]:
        """``auth`` of a registry whose tokens come from here."""
        names = {"realm": self.realm, "service": SERVICE, "issuer": ISSUER}
        return {"token": {**names, "rootcertbundle": str(self.keys.bundle)}}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command that needs the configuration."""
        return {**os.environ, "MOORAGE_CONTROL": str(self.file), "PYTHONPATH": str(_TESTS)}

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "moorage", "control", "serve", str(self.file)],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while '"listening"' not in self.log:
            assert self.process.poll() is None, self.log[-4000:]
            assert time.monotonic() < deadline, self.log[-4000:]
            time.sleep(0.05)
        command = [sys.executable, "-m", self.inhabitants]
        done = subprocess.run(command, env=self.environment, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr.decode()[-4000:]
        self.credentials = {kind: (name, secret) for kind, (name, secret) in json.loads(done.stdout).items()}

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(STOP_DEADLINE_S)
