"""The how-to for PostgreSQL, line for line: its files are written, its commands run, and they print what it says.

A block is marked by a comment above it: ``file: NAME`` is written, ``change: NAME`` is merged into it, ``run`` typed.
``run: server`` starts a node; ``run: restart`` is typed after the nodes were started anew, ``run: stopped`` while they
are not running, ``run: database-down`` and ``run: database-up`` when PostgreSQL was stopped and started;
``run: install`` is left to the reader. ``prints last`` is how what the block before it prints ends.

Debian's server is a cluster of the test's own: ``sudo`` is a script that leads there, and ports and folders are others.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from e2e.test_nginx import make_certificates
from e2e.test_tutorial import SecondTerminal
from support.clients import Background, Skopeo
from support.components import need
from support.ports import free_port
from support.postgres import SYSTEM_USER, Postgres

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "postgresql.md"
PGBOUNCER = "/usr/sbin/pgbouncer"
DEADLINE_S = 30.0

_MARK = r"<!-- (run|file|change|prints)(?:[: ] ?([\w.-]*))? -->"
_BLOCK = re.compile(rf"^{_MARK}\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SUDO = """\
#!/bin/sh
if [ "$1 $2" = "-u postgres" ]; then shift 2; fi
exec "$@"
"""
_NGINX = """\
daemon off;
pid nginx.pid;
error_log nginx.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include upstream.conf;
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 0;
        location / {{
            proxy_pass http://moorage;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_request_buffering off;
            proxy_buffering off;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Block:
    """A marked block of the page."""

    kind: str
    word: str
    text: str


def blocks() -> list[Block]:
    return [Block(*found.groups(default="")) for found in _BLOCK.finditer(PAGE.read_text())]


def is_there(address: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{address}/", timeout=2):
        return True
    return False


@dataclass
class Reader:
    """Somebody who follows the page: a scratch folder, two or more terminals, and a database server."""

    folder: Path
    postgres: Postgres
    env: Mapping[str, str]
    ports: Mapping[str, int]
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    printed: str = ""

    def __post_init__(self) -> None:
        self.terminal = SecondTerminal(self.folder, self.env)
        self._doing: Mapping[str, Callable[[str], None]] = {
            "": self.type,
            "server": self.serve,
            "restart": self.restart_and_type,
            "stopped": self.type_while_stopped,
            "database-down": self.type_without_database,
            "database-up": self.type_with_database,
        }

    def follow(self, block: Block) -> None:
        text = self.local(block.text)
        if block.kind == "file":
            (self.folder / block.word).write_text(text)
        elif block.kind == "change":
            self.change(self.folder / block.word, yaml.safe_load(text))
        elif block.kind == "prints":
            assert self.printed.strip().endswith(text.strip()), self.printed
        elif block.word != "install":
            self._doing[block.word](text)

    def local(self, text: str) -> str:
        """What the page says, for this folder and these ports."""
        for old, new in self.ports.items():
            text = text.replace(old, str(new))
        text = text.replace("/var/lib/registry", str(self.folder / "storage"))
        text = text.replace("/etc/moorage/database-ca.crt", str(self.folder / "ca" / "ca.crt"))
        return text.replace("/etc/pgbouncer/", f"{self.folder}/")

    def change(self, path: Path, changes: Mapping[str, Mapping[str, object]]) -> None:
        tree = yaml.safe_load(path.read_text())
        for section, values in changes.items():
            tree[section] |= values
        path.write_text(yaml.safe_dump(tree))

    def type(self, text: str) -> None:
        self.printed = self.terminal.type(text).replace("\r", "")

    def serve(self, text: str) -> None:
        name = text.rsplit(maxsplit=1)[-1]
        address = yaml.safe_load((self.folder / name).read_text())["http"]["addr"]
        log_path = self.folder / f"{name}.log"
        with log_path.open("ab") as log:
            self.nodes[name] = subprocess.Popen(
                ["bash", "-c", f"exec {text}"],
                cwd=self.folder,
                env={**os.environ, **self.env},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + DEADLINE_S
        while not is_there(address):
            assert self.nodes[name].poll() is None, log_path.read_text()
            assert time.monotonic() < deadline, log_path.read_text()
            time.sleep(0.05)

    def stop(self) -> list[str]:
        names = list(self.nodes)
        for process in self.nodes.values():
            process.send_signal(signal.SIGTERM)
        for name in names:
            assert self.nodes.pop(name).wait(DEADLINE_S) == 0
            assert "Traceback" not in (self.folder / f"{name}.log").read_text()
        return names

    def restart_and_type(self, text: str) -> None:
        for name in self.stop():
            self.serve(f"moorage serve {name}")
        self.type("curl -s http://127.0.0.1:5000/v2/_catalog".replace("5000", str(self.ports["5000"])))
        self.type(text)

    def type_while_stopped(self, text: str) -> None:
        names = self.stop()
        # Nothing of what is brought back may have been there still.
        shutil.rmtree(self.folder / "storage")
        self.type(text)
        for name in names:
            self.serve(f"moorage serve {name}")

    def type_without_database(self, text: str) -> None:
        self.postgres.stop()
        self.type(text)

    def type_with_database(self, text: str) -> None:
        self.postgres.start()
        self.type(text)

    def close(self) -> None:
        self.terminal.close()
        for process in self.nodes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(DEADLINE_S)


@pytest.fixture
def reader(tmp_path: Path, skopeo: Skopeo) -> Iterator[Reader]:
    need("curl", "openssl", "psql", "pg_dump")
    make_certificates(tmp_path)
    files = {"server.crt": (tmp_path / "tls.crt").read_bytes(), "server.key": (tmp_path / "tls.key").read_bytes()}
    (tmp_path / "bin").mkdir()
    sudo = tmp_path / "bin" / "sudo"
    sudo.write_text(_SUDO)
    sudo.chmod(0o755)
    # As Debian's: with a certificate.
    with Postgres(settings={"ssl": "on"}, files=files) as postgres:
        env = {
            **skopeo.env,
            "PATH": f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PGHOST": str(postgres.folder),
            "PGPORT": str(postgres.port),
            "PGUSER": postgres.user,
            "PGDATABASE": "postgres",
        }
        ports = {port: free_port() for port in ("5000", "5001", "5002", "5003", "6432")} | {"5432": postgres.port}
        found = Reader(tmp_path, postgres, env, ports)
        try:
            yield found
        finally:
            found.close()


@contextlib.contextmanager
def pgbouncer(reader: Reader) -> Iterator[None]:
    """The pooler, with the page's files."""
    need(PGBOUNCER, "setpriv")
    folder = reader.postgres.folder
    for name in ("pgbouncer.ini", "userlist.txt"):
        text = (reader.folder / name).read_text().replace(str(reader.folder), str(folder))
        (folder / name).write_text(text)
        if os.geteuid() == 0:
            shutil.chown(folder / name, SYSTEM_USER)
    ids = ["--reuid", SYSTEM_USER, "--regid", SYSTEM_USER, "--init-groups"] if os.geteuid() == 0 else []
    command = ["setpriv", "--pdeathsig", "INT", *ids, "--", PGBOUNCER, "-q", "pgbouncer.ini"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=folder)
    try:
        yield
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


@contextlib.contextmanager
def nginx(reader: Reader) -> Iterator[int]:
    """A load balancer with the page's list of nodes; its port."""
    need("nginx")
    port = free_port()
    (reader.folder / "nginx.conf").write_text(_NGINX.format(port=port))
    background = Background(reader.folder, ["nginx", "-p", reader.folder, "-c", reader.folder / "nginx.conf"])
    background.start(["curl", "-sf", f"http://127.0.0.1:{port}/"])
    try:
        yield port
    finally:
        background.stop()


def test_every_line_works(reader: Reader) -> None:
    count = 0
    with contextlib.ExitStack() as stack:
        for block in blocks():
            reader.follow(block)
            count += 1
            if block.word == "upstream.conf":
                with nginx(reader) as port:
                    push = f"skopeo copy --dest-tls-verify=false tarball:file.tar docker://127.0.0.1:{port}/group/two:1"
                    reader.type(push)
            elif block.word == "userlist.txt":
                stack.enter_context(pgbouncer(reader))
    assert count > 20


def test_no_command_and_no_file_is_left_out() -> None:
    page = PAGE.read_text()
    for kind, fence in (("run", "```sh\n"), ("prints", "```json\n")):
        marked = sum(block.kind == kind for block in blocks() if fence != "```json\n" or block.text.startswith("{"))
        assert page.count(fence) == marked
