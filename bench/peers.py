"""The servers that Moorage is compared with, each as it serves by itself, but for its address, folder and log.

Nobody writes an access log here: not all of them have one. See ``subjects.py`` for what a subject is.
"""

import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import asyncpg

import seeding
from load import Address, LoadError
from postgres import PASSWORD, USER, Postgres
from seeding import Images
from subjects import Daemon, DockerRegistry, Moorage, MoorageConfigured, MoorageOnPostgres, Subject, environment

_QUIET = {"level": "error", "accesslog": {"disabled": True}}
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


class _Quiet(MoorageConfigured):
    """Moorage without an access log."""

    def configuration(self, folder: Path) -> dict[str, object]:
        """What the file says."""
        return super().configuration(folder) | {"log": _QUIET}


class QuietOnSqlite(_Quiet):
    """Moorage with its metadata in a SQLite file."""

    store = "SQLite"

    def _database(self, folder: Path) -> dict[str, object]:
        return {"enabled": True, "sqlite": str(folder / "data" / "moorage.db")}


class QuietOnPostgres(MoorageOnPostgres, _Quiet):
    """Moorage with its metadata in PostgreSQL."""


class QuietOnLayout(_Quiet):
    """Moorage with its metadata in Distribution's layout."""

    store = "layout"

    def _database(self, folder: Path) -> None:
        del folder


class Distribution(DockerRegistry):
    """A registry of the Distribution project, of version 2 or 3, with the settings of Debian's package."""

    def __init__(self, name: str, program: str) -> None:
        super().__init__(name)
        self.program = program

    @property
    def version(self) -> str:
        """The version that its module was built from, or what it says itself."""
        return go_version(self.program) or said_version(self.program)

    def command(self, address: Address, folder: Path) -> list[str]:
        """Serve with a configuration file written into *folder*."""
        # Version 3 sends its traces to a collector on this machine, unless it is told not to.
        return ["env", "OTEL_TRACES_EXPORTER=none", self.program, "serve", str(self.write(address, folder))]

    def configuration(self, address: Address, folder: Path) -> dict[str, object]:
        """What Debian's package configures, without the log."""
        return super().configuration(address, folder) | {"log": _QUIET}


class GitLabRegistry(Distribution):
    """GitLab's registry without a database."""

    store = "layout"

    @property
    def version(self) -> str:
        """What it says itself: it is not built as a module with a version."""
        return said_version(self.program)


class GitLabRegistryOnPostgres(GitLabRegistry):
    """GitLab's registry with a database of *server* for each folder, and the pool that it takes by itself."""

    store = "PostgreSQL"

    def __init__(self, name: str, program: str, server: Postgres) -> None:
        super().__init__(name, program)
        self.database: Postgres = server

    def prepare(self, folder: Path) -> None:
        """Make the folder's database and its schema.

        Raises:
            LoadError: the migrations failed.
        """
        self.database.make(folder.name.lower())
        command = [self.program, "database", "migrate", "up", str(self.write(("127.0.0.1", 0), folder))]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment(), check=False)
        if ended.returncode:
            msg = f"{command!r}:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}"
            raise LoadError(msg)

    def configuration(self, address: Address, folder: Path) -> dict[str, object]:
        """The same with a database."""
        database = {
            "enabled": True,
            "host": "127.0.0.1",
            "port": self.database.port,
            "user": USER,
            "password": PASSWORD,
            "dbname": folder.name.lower(),
            "sslmode": "disable",
        }
        return super().configuration(address, folder) | {"database": database}


class Zot(Subject):
    """zot with its smallest configuration: no extensions, and nothing else changed, so it syncs nothing it writes."""

    def __init__(self, name: str, program: str) -> None:
        self.name = name
        self.program = program

    @property
    def version(self) -> str:
        """The version that its module was built from, or the tag that it was built at; empty if it knows neither."""
        said = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False)
        found = re.search(r'"commit":"(v[^"-]+)', said.stdout + said.stderr)
        return go_version(self.program) or (found[1] if found else "")

    def command(self, address: Address, folder: Path) -> list[str]:
        """Serve with a configuration file written into *folder*."""
        configuration = {
            "distSpecVersion": "1.1.1",
            "storage": {"rootDirectory": str(folder / "data")},
            "http": {"address": address[0], "port": str(address[1])},
            "log": {"level": "error"},
        }
        path = folder / "config.json"
        path.write_text(json.dumps(configuration, indent=2))
        return [self.program, "serve", str(path)]


class NginxFiles(Subject):
    """nginx with the same bytes as files: the floor, because it knows nothing of registries and takes no pushes."""

    def __init__(self, name: str, program: str) -> None:
        self.name = name
        self.program = program

    @property
    def version(self) -> str:
        """The version that nginx prints."""
        ended = subprocess.run([self.program, "-v"], capture_output=True, text=True, check=True)
        return ended.stderr.strip().rpartition("/")[2]

    def command(self, address: Address, folder: Path) -> list[str]:
        """Serve with a configuration file written into *folder*."""
        temporary = [
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ]
        lines = [
            "daemon off;",
            # The folder is not for whoever else nginx would work as.
            "user root;" if os.geteuid() == 0 else "",
            "worker_processes auto;",
            f"pid {folder}/pid;",
            "error_log stderr error;",
            "events { worker_connections 1024; }",
            "http {",
            *temporary,
            "access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;",
            f"server {{ listen {address[0]}:{address[1]}; root {folder}/data;",
            f"location /v2/ {{ default_type {_MANIFEST_TYPE}; }}",
            "location = /v2/ { default_type application/json; return 200 '{}'; } } }",
        ]
        path = folder / "nginx.conf"
        path.write_text("\n".join(lines) + "\n")
        return [self.program, "-c", str(path), "-e", "stderr"]


def write_file(daemon: Daemon, path: str, content: Sequence[bytes | memoryview]) -> None:
    """Put what :class:`NginxFiles` has to answer to *path* into its folder."""
    place = daemon.folder / "data" / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        file.writelines(content)


def fill_tags(daemon: Daemon, images: Images) -> None:
    """Give the repository of *images* its tags, by the way that is quickest for the server: no blobs are there."""
    subject = daemon.subject
    if isinstance(subject, Zot):
        _write_index(daemon.folder / "data" / images.path, images)
    elif isinstance(subject, GitLabRegistryOnPostgres):
        asyncio.run(_insert_tags(subject.database.url(daemon.folder.name.lower()), images))
    elif isinstance(subject, Moorage) and subject.store != "layout":
        seeding.seed(daemon.sink(), [images])
    else:
        seeding.write_tag_folders(daemon.folder / "data", images)


def go_version(program: str) -> str:
    """The version of the module that *program* was built from; empty if it, or Go, does not say."""
    if shutil.which("go") is None:
        return ""
    ended = subprocess.run(["go", "version", "-m", program], capture_output=True, text=True, check=False)
    module = next((line.split() for line in ended.stdout.splitlines() if line.startswith("\tmod\t")), [])
    return module[2] if len(module) > 2 and module[2].startswith("v") else ""


def said_version(program: str) -> str:
    """The last word of what it prints for ``--version``; empty if that is nothing."""
    ended = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return (ended.stdout.split() or [""])[-1]


def _write_index(folder: Path, images: Images) -> None:
    payloads = folder / "blobs" / "sha256"
    payloads.mkdir(parents=True)
    config = _put(payloads, b"{}")
    layers: list[dict[str, object]] = []
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST_TYPE, "config": config, "layers": layers}
    entry = _put(payloads, json.dumps(manifest).encode()) | {"mediaType": _MANIFEST_TYPE}
    named = [entry | {"annotations": {"org.opencontainers.image.ref.name": name}} for name in images.names()]
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": named}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def _put(payloads: Path, content: bytes) -> dict[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    (payloads / digest).write_bytes(content)
    kind = "application/vnd.oci.image.config.v1+json"
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}


async def _insert_tags(url: str, images: Images) -> None:
    """Write the tags into GitLab's tables, with what they need; its columns are those of its migrations."""
    connection = await asyncpg.connect(url, command_timeout=600)
    try:
        space, _, name = images.path.partition("/")
        namespace = await connection.fetchval("INSERT INTO top_level_namespaces (name) VALUES ($1) RETURNING id", space)
        repository = await connection.fetchval(
            "INSERT INTO repositories (top_level_namespace_id, name, path) VALUES ($1, $2, $3) RETURNING id",
            namespace, name, images.path,
        )  # fmt: skip
        kind = await connection.fetchval("SELECT id FROM media_types WHERE media_type = $1", _MANIFEST_TYPE)
        manifest = await connection.fetchval(
            "INSERT INTO manifests (top_level_namespace_id, repository_id, total_size, schema_version,"
            " media_type_id, digest, payload) VALUES ($1, $2, 0, 2, $3, $4, $5) RETURNING id",
            namespace, repository, kind, b"\x01" + hashlib.sha256(b"{}").digest(), b"{}",
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO tags (top_level_namespace_id, repository_id, manifest_id, name)"
            " SELECT $1, $2, $3, unnest($4::text[])",
            namespace, repository, manifest, images.names(),
        )  # fmt: skip
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()
