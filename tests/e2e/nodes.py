"""The site of the how-to for several nodes: three behind nginx, and PostgreSQL, Redis and a bucket behind them."""

import contextlib
import io
import os
import re
import ssl
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.fronts import adapted
from e2e.test_nginx import make_certificates
from e2e.wire import Wire, eventually
from support.clients import Background
from support.components import need
from support.daemon import Daemon
from support.ports import free_port
from support.postgres import Postgres, migrated
from support.redis import Redis
from support.seaweed import SeaweedFS

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "several-nodes.md"
SITE = PAGE.parent / "nginx" / "several-nodes.conf"
NODES = 3
WORKERS = 2
PATIENCE_S = 120.0
"""For what takes seconds on an idle machine."""

_MAIN = """\
daemon off;
{user}worker_processes 1;
pid {folder}/pid;
error_log {folder}/log;
events {{ worker_connections 512; }}
http {{
    log_format asked '$server_port $status $upstream_addr "$request"';
    access_log {folder}/access.log asked;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
    # Between the nodes and their bucket, to answer for it when it is to be away.
    upstream bucket {{ server {bucket}; keepalive 32; }}
    server {{
        listen 127.0.0.1:{bucket_port};
        client_max_body_size 0;
        location / {{
            if (-f {folder}/bucket-away) {{ return 503; }}
            proxy_pass http://bucket;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_request_buffering off;
            proxy_buffering off;
        }}
    }}
}}
"""


@dataclass
class Site:
    """All of it, running."""

    folder: Path
    nginx: Background
    nodes: list[Daemon]
    postgres: Postgres
    redis: Redis
    port: int
    bucket_port: int
    tls: ssl.SSLContext
    down: set[int] = field(default_factory=set)
    """Nodes that nginx is told to leave out."""

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    def wire(self, *, keep: bool = False) -> Wire:
        """A client that comes through nginx."""
        return Wire(self.address, timeout_s=PATIENCE_S, keep=keep, tls=self.tls)

    def debug_address(self, number: int) -> str:
        """Where a node tells of its health."""
        config = yaml.safe_load(self.nodes[number].config or "")
        return str(config["http"]["debug"]["addr"])

    def wait_ready(self) -> None:
        """Wait until every node says that it can serve."""
        for number, node in enumerate(self.nodes):
            node.wait_ready()
            eventually("the node is ready", partial(_is_ready, self.debug_address(number)), within_s=PATIENCE_S)

    def restart_postgres(self) -> None:
        """PostgreSQL ends every connection, and starts again."""
        self.postgres.stop()
        self.postgres.start()

    @contextlib.contextmanager
    def without_redis(self) -> Iterator[None]:
        """Redis is gone for the length of the block, with all that it had."""
        self.redis.kill()
        yield
        self.redis.start()

    @contextlib.contextmanager
    def without_bucket(self) -> Iterator[None]:
        """The bucket answers 503 for the length of the block."""
        away = self.folder / "bucket-away"
        away.touch()
        yield
        away.unlink()

    def refused_by_bucket(self) -> int:
        """How many requests the bucket has answered with 503."""
        return (self.folder / "access.log").read_text().count(f"\n{self.bucket_port} 503 ")

    def leave_out(self, *numbers: int) -> None:
        """Tell nginx to send nothing to these nodes, and wait until it sends nothing any more."""
        before = self._workers
        self.down = set(numbers)
        (self.folder / "nodes.conf").write_text(self._listed())
        subprocess.run(["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf", "-s", "reload"], check=True)
        eventually("nginx works by the new list", lambda: not before & self._workers, within_s=PATIENCE_S)

    @property
    def _workers(self) -> set[int]:
        assert self.nginx.process is not None
        pid = self.nginx.process.pid
        return {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    def _listed(self) -> str:
        lines = written("moorage-nodes.conf").splitlines()
        assert len(lines) == NODES
        shown = ""
        for number, line in enumerate(lines):
            changed = re.sub(r"server [\d.]+:5000", f"server {self.nodes[number].address}", line)
            assert changed != line
            shown += changed.replace(";", " down;" if number in self.down else ";") + "\n"
        return shown


class NodeCosts:
    """What the nodes take: CPU of all their processes, also of those that are gone, and the most memory of one node."""

    def __init__(self, nodes: Sequence[Daemon]) -> None:
        self._nodes = nodes
        self._before_s = sum(map(cpu_s, nodes))
        self.gone_s = 0.0
        self.most_bytes = 0

    def look(self) -> None:
        """Note how much memory each node has now."""
        self.most_bytes = max(self.most_bytes, *map(_memory_bytes, self._nodes))

    def kill(self, node: Daemon) -> None:
        """Kill a node, and count what it has used until now."""
        self.look()
        self.gone_s += cpu_s(node)
        node.kill()

    def told(self, requests: int, within_s: float) -> str:
        """Say it in words, for so many requests that came within that time."""
        used_s = self.gone_s + sum(map(cpu_s, self._nodes)) - self._before_s
        return (
            f"{requests / within_s:.0f} requests a second over {len(self._nodes)} nodes took {used_s / within_s:.2f} "
            f"cores ({used_s / requests * 1000:.1f} ms of CPU each, starts included); "
            f"a node had at most {self.most_bytes >> 20} MiB"
        )


def _pids(node: Daemon) -> list[int]:
    return [node.pid, *node.worker_pids, *node.keeper_pids]


def cpu_s(node: Daemon) -> float:
    """Seconds of CPU that the processes of a node have used."""
    ticks = 0
    for pid in _pids(node):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _memory_bytes(node: Daemon) -> int:
    """The memory of a node; what its processes share counts once."""
    found = 0
    for pid in _pids(node):
        with contextlib.suppress(OSError):
            shares = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            found += int(shares[1]) << 10 if shares else 0
    return found


def older_version(folder: Path) -> Path:
    """Write the source of the first version that had this how-to into *folder*, and return where its package is."""
    root = PAGE.parents[2]
    if not (root / ".git").exists():
        pytest.skip("there is no repository to take an older version from")
    told = ["git", "-C", str(root), "log", "--diff-filter=A", "--format=%H", "--", str(PAGE.relative_to(root))]
    commits = subprocess.run(told, capture_output=True, text=True, check=True).stdout.split()
    if not commits:
        pytest.skip("the repository does not reach back to an older version")
    packed = subprocess.run(
        ["git", "-C", str(root), "archive", commits[-1], "src"], capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


def _is_ready(address: str) -> bool:
    with contextlib.suppress(OSError):
        return Wire(address).request("GET", "/debug/health/ready").status == 200
    return False


def written(name: str) -> str:
    """A file of the how-to."""
    block = re.search(
        rf"^<!-- file: {re.escape(name)} -->\n```\w+\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert block is not None, f"{PAGE} has no {name}"
    return block[1]


@contextlib.contextmanager
def three_nodes(folder: Path, gc: Mapping[str, object]) -> Iterator[Site]:
    """Start the site; *gc* is that section of the configuration."""
    need("nginx", "openssl", "redis-server")
    with SeaweedFS() as bucket, Postgres() as postgres, Redis() as redis:
        make_certificates(folder)
        port, bucket_port, dbname = free_port(), free_port(), migrated(postgres)
        nodes = []
        for number in range(NODES):
            config: dict[str, Any] = yaml.safe_load(written("config.yml")) | {"gc": dict(gc)}
            config["http"]["debug"]["addr"] = f"127.0.0.1:{free_port()}"
            config["database"] |= yaml.safe_load(postgres.config_section(dbname))["database"]
            config["redis"]["addr"] = redis.address
            _adapt(config, bucket, f"http://127.0.0.1:{bucket_port}")
            text = yaml.safe_dump(config)
            nodes.append(Daemon(folder / f"node-{number}", config=text, workers=WORKERS, has_folder=False))
        nginx = Background(folder, ["nginx", "-p", folder, "-c", folder / "nginx.conf"])
        tls = ssl.create_default_context(cafile=folder / "ca" / "ca.crt")
        site = Site(folder, nginx, nodes, postgres, redis, port, bucket_port, tls)
        (folder / "nodes.conf").write_text(site._listed())
        (folder / "site.conf").write_text(_site_conf(folder, port))
        # Else its workers may not look into folders of ours.
        user = "user root;\n" if os.geteuid() == 0 else ""
        main = _MAIN.format(folder=folder, user=user, bucket=bucket.address, bucket_port=bucket_port)
        (folder / "nginx.conf").write_text(main)
        nginx.start(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", folder / "ca" / "ca.crt"])
        try:
            with contextlib.ExitStack() as stack:
                for node in nodes:
                    node.start(wait=False)
                    stack.push(node)
                for node in nodes:
                    node.wait_ready()
                yield site
        finally:
            nginx.stop()
        assert "[emerg]" not in nginx.log


def _adapt(config: dict[str, Any], bucket: SeaweedFS, url: str) -> None:
    """Lead the configuration to a bucket of here, and take the limits away that one client would reach."""
    s3 = {"regionendpoint": url, "bucket": bucket.bucket}
    config["storage"]["s3"] |= s3 | {"accesskey": bucket.access_key, "secretkey": bucket.secret_key}
    # Every byte comes through the nodes, so that a wrong one would be theirs.
    config["storage"]["redirect"] = {"disable": True}
    for limiter in config["rate_limiter"]["limiters"]:
        limiter["limit"] |= {"rate": 100_000, "burst": 1_000_000}


def _site_conf(folder: Path, port: int) -> str:
    changes = {
        "https://registry.example.com": f"https://localhost:{port}",
        "server_name registry.example.com": "server_name localhost",
        "/etc/nginx/tls/registry.crt;": f"{folder / 'tls.crt'};",
        "/etc/nginx/tls/registry.key;": f"{folder / 'tls.key'};",
        "include /etc/nginx/moorage-nodes.conf;": f"include {folder}/nodes.conf;",
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
    }
    return adapted(SITE, changes)
