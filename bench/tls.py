"""HTTPS for what is measured: a certificate, each server with it, and clients that take it unseen.

nginx is the floor: it serves the same bytes as files, and knows nothing of registries. Without it there is none.
"""

import getpass
import http.client
import shutil
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import client
import load
from content import Blob
from contestants import found
from load import Address, LoadError
from peers import Distribution, GitLabRegistry
from subjects import Daemon, DockerRegistry, Moorage, Subject

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
_BUFFER_BYTES = 1 << 20

_NGINX = """
daemon off; user {user}; worker_processes {workers}; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; keepalive_requests 1000000000;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{ listen {host}:{port}{ssl}; root {folder}/data; location = /v2/ {{ return 200 "{{}}"; }} }}
}}
"""


def make_certificate(folder: Path) -> None:
    """Make ``tls.crt`` and ``tls.key`` in *folder*, once."""
    if not (folder / "tls.crt").exists():
        made = ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt"), "-subj", "/CN=localhost"]
        kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
        subprocess.run(["openssl", "req", *kind, *made], check=True, capture_output=True)


class Nginx(Subject):
    """nginx with static files, as many processes as Moorage has."""

    name = "nginx"

    def __init__(self, workers: int, *, has_tls: bool) -> None:
        self._workers = workers
        self.has_tls = has_tls

    @property
    def version(self) -> str:
        """What ``nginx -v`` says."""
        said = subprocess.run([str(NGINX), "-v"], capture_output=True, text=True, check=True).stderr
        return said.strip().rpartition("/")[2]

    def command(self, address: Address, folder: Path) -> list[str]:
        """Serve the folder's data."""
        tls = f" ssl; ssl_certificate {folder}/tls.crt; ssl_certificate_key {folder}/tls.key" if self.has_tls else ""
        if self.has_tls:
            make_certificate(folder)
        host, port = address
        text = _NGINX.format(
            user=getpass.getuser(), folder=folder, host=host, port=port, ssl=tls, workers=self._workers
        )
        (folder / "nginx.conf").write_text(text)
        return [str(NGINX), "-c", str(folder / "nginx.conf"), "-p", str(folder)]


class MoorageWithTLS(Moorage):
    """Moorage with HTTPS, its metadata in SQLite."""

    has_tls = True

    def command(self, address: Address, folder: Path) -> list[str]:
        """Serve as without, but for the certificate."""
        make_certificate(folder)
        files = [f"REGISTRY_HTTP_TLS_CERTIFICATE={folder}/tls.crt", f"REGISTRY_HTTP_TLS_KEY={folder}/tls.key"]
        return ["env", *files, *super().command(address, folder)]


class _Secured(DockerRegistry):
    """A registry of Distribution's family with HTTPS."""

    has_tls = True

    def configuration(self, address: Address, folder: Path) -> dict[str, object]:
        """The same with a certificate."""
        make_certificate(folder)
        files = {"certificate": f"{folder}/tls.crt", "key": f"{folder}/tls.key"}
        made = super().configuration(address, folder)
        return made | {"http": {**cast("dict[str, object]", made["http"]), "tls": files}}


class DockerRegistryWithTLS(_Secured):
    """Debian's docker-registry with HTTPS."""


class DistributionWithTLS(_Secured, Distribution):
    """A registry of the Distribution project with HTTPS."""


class GitLabRegistryWithTLS(_Secured, GitLabRegistry):
    """GitLab's registry without a database, with HTTPS."""


def peers() -> list[Subject]:
    """The other registries that are on PATH: Distribution 3, and GitLab's."""
    programs, made = found({}), list[Subject]()
    if program := programs.get("distribution3"):
        made.append(DistributionWithTLS("Distribution 3", program))
    if program := programs.get("gitlab"):
        made.append(GitLabRegistryWithTLS("GitLab's", program))
    return made


def leave(daemon: Daemon, files: Mapping[str, bytes]) -> None:
    """Have nginx serve *files*, by their paths."""
    for path, content in files.items():
        place = daemon.folder / "data" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def prepare_blobs(daemon: Daemon, blobs: Sequence[Blob]) -> None:
    """Push *blobs* over HTTPS, or leave them for nginx.

    Raises:
        LoadError: one was refused.
    """
    if isinstance(daemon.subject, Nginx):
        leave(daemon, {client.blob_path(blob): b"".join(blob.pieces()) for blob in blobs})
        return
    for blob in blobs:
        push(daemon, blob)


def push(daemon: Daemon, blob: Blob) -> None:
    """Push one blob over HTTPS, by POST, PATCH and PUT.

    Raises:
        LoadError: it was refused.
    """
    connection = _connection(daemon)
    try:
        connection.request("POST", f"/v2/{client.REPOSITORY}/blobs/uploads/", headers={"Content-Length": "0"})
        where = _answered(connection, 202)
        connection.putrequest("PATCH", where)
        connection.putheader("Content-Type", "application/octet-stream")
        connection.putheader("Content-Length", str(blob.size_bytes))
        connection.endheaders()
        for piece in blob.pieces():
            connection.send(piece)
        where = _answered(connection, 202)
        where += f"{'&' if '?' in where else '?'}digest={blob.digest}"
        connection.request("PUT", where, headers={"Content-Length": "0"})
        _answered(connection, 201)
    finally:
        connection.close()


def pull(daemon: Daemon, path: str) -> None:
    """Pull one path over HTTPS, and drop it.

    Raises:
        LoadError: it was refused.
    """
    connection, buffer = _connection(daemon), bytearray(_BUFFER_BYTES)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            msg = f"{daemon.subject.name} answered {answer.status} to GET {path}"
            raise LoadError(msg)
        while answer.readinto(buffer):
            pass
    finally:
        connection.close()


def _connection(daemon: Daemon) -> http.client.HTTPSConnection:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # Its own certificate, made for this run.
    return http.client.HTTPSConnection(*daemon.address, timeout=load.STALL_S, context=context)


def _answered(connection: http.client.HTTPSConnection, status: int) -> str:
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != status:
        msg = f"{status} was expected, not {answer.status}: {body[:300].decode(errors='replace')}"
        raise LoadError(msg)
    return client.local_part(answer.headers["Location"])
