"""``moorage doctor`` and nginx in front of a registry: each fault of a proxy is a line that says what to do."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml

from e2e.fronts import nginx_main
from e2e.settings import config_for
from moorage.doctor.diagnosis import Diagnosis, Grade, Report
from moorage.doctor.examination import DoctorWish, run_doctor
from support.authority import Authority
from support.clients import Background
from support.components import need
from support.daemon import Daemon
from support.ports import free_port
from support.surroundings import folder_on_disk

SITES = {
    "good": "client_max_body_size 0; proxy_set_header X-Forwarded-Proto $scheme;",
    "small": "client_max_body_size 20m; proxy_set_header X-Forwarded-Proto $scheme;",
    "tiny": "client_max_body_size 1k; proxy_set_header X-Forwarded-Proto $scheme;",
    "silent": "client_max_body_size 0;",
    "renamed": "client_max_body_size 0; proxy_set_header X-Forwarded-Host inside.example.com;",
    "redirecting": "return 301 https://elsewhere.example.com$request_uri;",
    "stripping": "proxy_hide_header Docker-Distribution-Api-Version; proxy_hide_header X-Content-Type-Options;",
    "expired": "client_max_body_size 0;",
    "stranger": "client_max_body_size 0;",
}
"""Sites, each with its fault."""

_SITE = """
server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location / {{
        proxy_pass http://{upstream};
        proxy_set_header Host $http_host;
        proxy_request_buffering off;
        proxy_http_version 1.1;
        {rule}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Fronts:
    """One registry, and nginx in front of it with a port for each site."""

    daemon: Daemon
    authority: Authority
    ports: dict[str, int]

    def url(self, site: str) -> str:
        return f"https://localhost:{self.ports[site]}"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder on a disk: the doctor finds fault with one in memory."""
    with folder_on_disk() as found:
        yield found


@pytest.fixture(scope="module")
def fronts(folder: Path) -> Iterator[Fronts]:
    need("nginx", "openssl")
    authority = Authority(folder / "ca")
    good = authority.certify("tls", "localhost", days=60)
    expired = authority.certify("expired", "localhost", begin=datetime.now(UTC) - timedelta(days=9))
    stranger = Authority(folder / "other").certify("stranger", "localhost", days=60)
    certified = {"expired": expired, "stranger": stranger}
    http = {"secret": "a secret that is long enough", "addr": "127.0.0.1:0"}
    with Daemon(folder / "daemon", config=config_for(folder / "daemon", http=http)) as daemon:
        ports = {site: free_port() for site in SITES}
        sites = [
            _SITE.format(
                port=ports[site],
                rule=rule,
                upstream=daemon.address,
                certificate=certified.get(site, good).certificate,
                key=certified.get(site, good).key,
            )
            for site, rule in SITES.items()
        ]
        (folder / "nginx.conf").write_text(nginx_main(folder, "".join(sites)))
        nginx = Background(folder, ["nginx", "-p", folder, "-c", folder / "nginx.conf"])
        port = str(ports["good"])
        nginx.start(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", authority.certificate])
        try:
            yield Fronts(daemon, authority, ports)
        finally:
            nginx.stop()


def config_of(fronts: Fronts) -> Path:
    return fronts.daemon.folder / "config.yml"


def examined(fronts: Fronts, url: str) -> dict[str, Diagnosis]:
    """The report on the registry's address, by check."""
    report = Report()
    wish = DoctorWish(url=url, ca=str(fronts.authority.certificate), node="one")
    run_doctor(config_of(fronts), None, wish, report)
    return {line.check: line for line in report.lines}


def failed(found: dict[str, Diagnosis]) -> set[str]:
    return {name for name, check in found.items() if check.grade is Grade.FAILED}


def test_the_command_prints_nothing_but_its_report(fronts: Fronts) -> None:
    command = [sys.executable, "-m", "moorage", "doctor", "--json", "--url", fronts.url("small"), "--node", "one"]
    command += ["--ca", str(fronts.authority.certificate), str(config_of(fronts))]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (1, "")
    found: dict[str, Any] = json.loads(done.stdout)
    assert [check["check"] for check in found["checks"] if check["result"] == "failed"] == ["address: size of bodies"]


def test_a_good_proxy_has_no_failure_and_no_upload_is_left(fronts: Fronts) -> None:
    found = examined(fronts, fronts.url("good"))
    assert failed(found) == set()
    kinds = ("", ": redirects", ": tls", ": forwarded headers", ": size of bodies")
    assert [found[f"address{kind}"].grade for kind in kinds] == [Grade.GOOD] * len(kinds)
    assert found["clock: address"].grade is Grade.GOOD
    left = [path for path in fronts.daemon.data.rglob("*") if path.is_file() and "moorage-doctor" in str(path)]
    assert left == []


@pytest.mark.parametrize(("site", "passes"), [("small", "10 MiB pass"), ("tiny", "not even 1 MiB passes")])
def test_a_limit_on_bodies_is_found_without_sending_one(fronts: Fronts, site: str, passes: str) -> None:
    found = examined(fronts, fronts.url(site))
    assert failed(found) == {"address: size of bodies"}
    assert passes in found["address: size of bodies"].said
    assert "client_max_body_size 0" in found["address: size of bodies"].remedy


@pytest.mark.parametrize(("site", "where"), [("silent", "http://localhost:"), ("renamed", "inside.example.com")])
def test_urls_that_lead_elsewhere_are_found(fronts: Fronts, site: str, where: str) -> None:
    found = examined(fronts, fronts.url(site))
    assert failed(found) == {"address: forwarded headers"}
    assert where in found["address: forwarded headers"].said
    assert f"http.host: {fronts.url(site)}" in found["address: forwarded headers"].remedy


def test_an_address_that_sends_clients_elsewhere_fails(fronts: Fronts) -> None:
    found = examined(fronts, fronts.url("redirecting"))
    assert failed(found) == {"address: redirects"}
    assert "https://elsewhere.example.com/v2/" in found["address: redirects"].said


def test_a_proxy_that_takes_the_registrys_header_away_fails(fronts: Fronts) -> None:
    found = examined(fronts, fronts.url("stripping"))
    assert failed(found) == {"address"}
    assert "not as a registry does" in found["address"].said


@pytest.mark.parametrize(("site", "said"), [("expired", "has expired"), ("stranger", "is not trusted")])
def test_a_certificate_that_clients_do_not_take_fails(fronts: Fronts, site: str, said: str) -> None:
    found = examined(fronts, fronts.url(site))
    assert failed(found) == {"address"}
    assert said in found["address"].said


def test_the_wrong_scheme_and_a_port_without_anybody_are_told_apart(fronts: Fronts) -> None:
    found = examined(fronts, fronts.url("good").replace("https", "http"))
    assert found["address"].remedy == "write https:// in http.host"
    found = examined(fronts, f"https://localhost:{free_port()}")
    assert "Connection refused" in found["address"].said


def test_where_credentials_are_asked_for_those_of_the_environment_are_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder / "credentials"
    place.mkdir()
    users, password = place / "users", "the password of ada"
    users.write_text(f"ada:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n")
    tree = yaml.safe_load(config_for(place, http={"secret": "a secret that is long enough"}))
    config = yaml.safe_dump({**tree, "auth": {"htpasswd": {"realm": "here", "path": str(users)}}})
    with Daemon(place, config=config) as daemon:

        def looked_at() -> dict[str, Diagnosis]:
            report = Report()
            run_doctor(place / "config.yml", None, DoctorWish(url=daemon.url, node="one"), report)
            assert password not in "".join(line.said for line in report.lines)
            return {line.check: line for line in report.lines}

        assert looked_at()["address: forwarded headers"].grade is Grade.SKIPPED
        monkeypatch.setenv("MOORAGE_USERNAME", "ada")
        monkeypatch.setenv("MOORAGE_PASSWORD", password)
        assert looked_at()["address: forwarded headers"].grade is Grade.GOOD
        monkeypatch.setenv("MOORAGE_PASSWORD", f"not {password}")
        found = looked_at()
        assert found["address: forwarded headers"].grade is Grade.SKIPPED
        assert failed(found) == set()
