"""``moorage up --domain``: HTTPS for both servers, with a certificate that an authority issues, or with one's own."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.images import build_image, write_layout
from e2e.wire import eventually
from support.authority import Authority
from support.clients import Background
from support.components import need
from support.pebble import Pebble
from support.ports import free_port

DOMAIN, REGISTRY = "example.test", "registry.example.test"
# Names lead to this machine for one process and those that it starts, and nobody else.
WITH_NAMES = ("unshare", "--mount", "--propagation", "private", "sh", "-c")
BINDING = 'mount --bind "$0" /etc/hosts && exec "$@"'


class Site:
    """A site as ``moorage up --domain`` makes it in an empty folder."""

    def __init__(self, folder: Path, *options: str, ports: tuple[int, int], env: dict[str, str]) -> None:
        self.data, self.folder = folder / "data", folder
        self.registry_port, self.control_port = ports
        self.plain_port = free_port()
        (folder / "hosts").write_text(f"127.0.0.1 localhost {DOMAIN} {REGISTRY}\n")
        self.bundle = folder / "bundle.pem"
        self.env = {
            "SSL_CERT_FILE": str(self.bundle),
            "MOORAGE_CONTROL_HTTP_REDIRECT": f"127.0.0.1:{self.plain_port}",
            **env,
        }
        addresses = ("--addr", f"127.0.0.1:{ports[0]}", "--control-addr", f"127.0.0.1:{ports[1]}", "--workers", "1")
        command = [sys.executable, "-m", "moorage", "up", str(self.data), "--domain", DOMAIN, *addresses, *options]
        self.server = Background(folder, [*WITH_NAMES, BINDING, str(folder / "hosts"), *command], env=self.env)

    def run(self, *command: str | Path, text: str = "") -> str:
        """Run a client for which the names lead here, and which trusts what the site trusts."""
        words = [*WITH_NAMES, BINDING, str(self.folder / "hosts"), *map(str, command)]
        given = {**os.environ, **self.env}
        done = subprocess.run(words, env=given, input=text, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{self.server.log[-4000:]}"
        return done.stdout

    def verified(self, name: str, port: int) -> str:
        """OpenSSL's answer, as an administrator asks for it."""
        where = ("-connect", f"127.0.0.1:{port}", "-servername", name, "-verify_hostname", name)
        command = ["openssl", "s_client", "-showcerts", *where, "-CAfile", str(self.bundle)]
        return subprocess.run(command, input="", capture_output=True, text=True, check=False, timeout=30).stdout


@pytest.fixture(scope="module", params=["issued", "own"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need("pebble", "pebble-challtestsrv", "openssl", "skopeo", "unshare", root=True)
    folder, ports = tmp_path_factory.mktemp(request.param), (free_port(), free_port())
    if request.param == "own":
        authority = Authority(folder / "ca")
        # A wildcard, given by its places.
        pair = authority.certify(DOMAIN, DOMAIN, f"*.{DOMAIN}")
        files = ("--certificate", str(pair.certificate), "--key", str(pair.key), "--registry-domain", REGISTRY)
        made = Site(folder, *files, ports=ports, env={})
        made.bundle.write_bytes(authority.certificate.read_bytes())
        yield from _running(made)
        return
    (folder / "pebble").mkdir()
    # The check of the authority comes to the pages' port, as it would to 443.
    with Pebble(folder / "pebble", ports[1]) as pebble:
        directory = {
            f"{prefix}_HTTP_TLS_LETSENCRYPT_DIRECTORYURL": pebble.directory_url
            for prefix in ("REGISTRY", "MOORAGE_CONTROL")
        }
        made = Site(folder, "--registry-domain", REGISTRY, ports=ports, env=directory)
        url = f"https://127.0.0.1:{pebble.management_port}/roots/0"
        with urllib.request.urlopen(url, timeout=10, context=pebble.authority.trusted()) as answer:
            made.bundle.write_bytes(answer.read() + pebble.authority.certificate.read_bytes())
        yield from _running(made)


def _running(site: Site) -> Iterator[Site]:
    site.server.start(["test", "-s", str(site.data / "initial_password")])
    try:
        for name, port in ((DOMAIN, site.control_port), (REGISTRY, site.registry_port)):
            eventually(
                f"{name} has a certificate",
                lambda name=name, port=port: "Verified peername: " in site.verified(name, port),  # type: ignore[misc]
                within_s=90,
            )
        yield site
    finally:
        site.server.stop()
    assert "Traceback" not in site.server.log, site.server.log[-4000:]


def test_openssl_verifies_the_chain_of_both(site: Site) -> None:
    for name, port in ((DOMAIN, site.control_port), (REGISTRY, site.registry_port)):
        said = site.verified(name, port)
        assert "Verification: OK" in said
        assert f"Verified peername: {name}" in said or f"Verified peername: *.{DOMAIN}" in said


def test_an_image_is_pushed_with_the_sites_credentials_and_the_control_plane_hears_of_it(
    site: Site, tmp_path: Path
) -> None:
    registry, url = f"{REGISTRY}:{site.registry_port}", f"https://{DOMAIN}:{site.control_port}"
    password = (site.data / "initial_password").read_text().strip()
    credentials = ("--authfile", str(tmp_path / "auth.json"))
    site.run("skopeo", "login", *credentials, "-u", "root", "--password-stdin", registry, text=password)
    write_layout(tmp_path / "layout", {"1": build_image("https")})
    site.run("skopeo", "copy", *credentials, f"oci:{tmp_path / 'layout'}:1", f"docker://{registry}/root/app:1")
    found = site.run("skopeo", "list-tags", *credentials, f"docker://{registry}/root/app")
    assert json.loads(found)["Tags"] == ["1"]
    environ = ("env", f"MOORAGE_CONTROL={site.data / 'control.yml'}")
    command = ("control", "token", "create", "root", "--name", "x", "--scope", "api", "--json")
    token = json.loads(site.run(*environ, sys.executable, "-m", "moorage", *command))["token"]
    asked = ("curl", "-sf", "--cacert", site.bundle, "-H", f"PRIVATE-TOKEN: {token}")
    path = f"{url}/api/v4/projects/root%2Fapp/registry/repositories?tags=true"
    eventually(
        "the control plane knows the repository and its tag",
        lambda: '"root/app:1"' in site.run(*asked, path).replace('": "', '":"'),
        within_s=60,
    )


def test_plain_http_is_sent_on_and_keeps_its_path(site: Site) -> None:
    answer = site.run("curl", "-si", "-X", "POST", f"http://{DOMAIN}:{site.plain_port}/a/b?c=d")
    assert answer.startswith("HTTP/1.1 308 ")
    assert re.search(rf"(?im)^location: https://{DOMAIN}:{site.control_port}/a/b\?c=d\r?$", answer)
    for target in ("@evil.example", "*", "http://evil.example/", "//evil.example"):
        asked = ("curl", "-si", "--request-target", target, f"http://{DOMAIN}:{site.plain_port}/")
        found = re.search(r"(?im)^location: (.*?)\r?$", site.run(*asked))
        assert found is None or found[1].startswith(f"https://{DOMAIN}:{site.control_port}/"), target


def test_people_are_told_the_names(site: Site) -> None:
    assert f"the registry listens on https://{REGISTRY}:{site.registry_port}\n" in site.server.log
    assert f"Accounts and projects are at https://{DOMAIN}:{site.control_port}\n" in site.server.log
