"""A server for the web in front of a daemon: the site that a page or a deployment has, and what any of them must do."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from e2e.images import build_index, layout_digests, write_layout
from e2e.wire import Wire
from support.clients import Skopeo
from support.daemon import Daemon

OTHER_NAMES = {
    "Forwarded": "host=evil.example;proto=http",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
}
"""What a client may claim about names, and nobody may believe."""


_NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/log;
events {{ worker_connections 256; }}
http {{
    log_format versions '$server_protocol $request_method $status';
    access_log {access_log};
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {sites}
}}
"""


@dataclass
class Front:
    """A server in front of a daemon; the authority that signed its certificate is in ``ca`` of its folder."""

    daemon: Daemon
    folder: Path
    port: int

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    @property
    def authority(self) -> Path:
        return self.folder / "ca"

    @property
    def wire(self) -> Wire:
        """A client that trusts the authority and comes through the front."""
        return Wire(self.address, tls=ssl.create_default_context(cafile=self.authority / "ca.crt"))


def adapted(site: Path, changes: Mapping[str, str]) -> str:
    """The text of a site's file, with names and places of a test in the place of those that it has."""
    text = site.read_text()
    for old, new in changes.items():
        assert old in text, f"{site} no longer has {old!r}"
        text = text.replace(old, new)
    return text


def nginx_main(folder: Path, sites: str, *, access_log: str = "off") -> str:
    """The configuration of an nginx that keeps all in *folder*, with *sites* in its ``http`` block."""
    return _NGINX.format(folder=folder, sites=sites, access_log=access_log)


def check_an_image_goes_in_and_out(front: Front, repository: str, skopeo: Skopeo, folder: Path) -> None:
    index = build_index(repository)
    source = write_layout(folder / "source", {"v1": index})
    there, authority = f"docker://{front.address}/{repository}:v1", str(front.authority)
    skopeo("copy", "--all", "--preserve-digests", "--dest-cert-dir", authority, f"oci:{source}:v1", there)
    skopeo("copy", "--all", "--preserve-digests", "--src-cert-dir", authority, there, f"oci:{folder / 'back'}:v1")
    assert layout_digests(folder / "back") == {part.digest for part in index.parts}


def check_claims_do_not_count(front: Front, repository: str) -> None:
    answer = front.wire.request("POST", f"/v2/{repository}/blobs/uploads/", headers=OTHER_NAMES)
    assert urlsplit(answer.headers["location"])[:2] == ("https", front.address)


def check_a_long_token_goes_through(front: Front) -> None:
    answer = front.wire.request("GET", "/v2/", headers={"Authorization": f"Bearer {'x' * 60_000}"})
    assert answer.status == 200
