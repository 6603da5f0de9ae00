"""A registry that is its own token server: one process group, one address."""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest
import yaml

from e2e.images import build_image, write_layout
from e2e.settings import config_for
from e2e.wire import Wire
from support.authority import Authority
from support.clients import Skopeo
from support.daemon import Daemon
from support.token_server import ISSUER, SERVICE, TokenServer

RULES = {"rules": [{"users": ["ada"], "repositories": ["team/**"], "actions": ["pull", "push"]}]}
USERS = {"ada": "ada's password", "bob": "bob's password"}


def config_of(folder: Path, *, http: Mapping[str, object] | None = None, **changed: object) -> str:
    """A registry with the files of a token server that is never started."""
    files = TokenServer(folder / "tokens", RULES, USERS)
    token = {
        "realm": "https://registry.test/auth/token",
        "service": SERVICE,
        "issuer": ISSUER,
        "autoredirect": True,
        "server": str(files.path),
        "rootcertbundle": str(files.bundle),
        **changed,
    }
    tree = yaml.safe_load(config_for(folder, http=http))
    return yaml.safe_dump({**tree, "auth": {"token": token}})


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("own")
    with Daemon(folder, config=config_of(folder), workers=2) as daemon:
        yield daemon


def asked(daemon: Daemon, scope: str, who: str = "", *, path: str = "/auth/token") -> tuple[int, str]:
    query = urlencode({"service": SERVICE, "scope": scope})
    headers = {"Authorization": "Basic " + base64.b64encode(who.encode()).decode()} if who else {}
    found = Wire(daemon.address).request("GET", f"{path}?{query}", headers=headers)
    return found.status, str(json.loads(found.body).get("token", ""))


def test_skopeo_logs_in_and_pushes_to_a_registry_that_gives_tokens_itself(skopeo: Skopeo, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    pair = authority.certify("server", "127.0.0.1")
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    (certificates / "ca.crt").write_bytes(authority.certificate.read_bytes())
    config = config_of(tmp_path, http={"tls": {"certificate": str(pair.certificate), "key": str(pair.key)}})
    source = write_layout(tmp_path / "source", {"v1": build_image("own tokens")})
    with Daemon(tmp_path, config=config, workers=2, tls=authority.trusted()) as daemon:
        there, folder = f"docker://{daemon.address}/team/app:v1", ("--dest-cert-dir", certificates)
        status, _ = skopeo.attempt("copy", *folder, f"oci:{source}:v1", there)
        assert status != 0
        status, _ = skopeo.attempt("copy", *folder, "--dest-creds", f"bob:{USERS['bob']}", f"oci:{source}:v1", there)
        assert status != 0
        authfile = ("--authfile", tmp_path / "auth.json")
        login = ("login", *authfile, "--cert-dir", certificates, "--username", "ada", "--password", USERS["ada"])
        assert "Login Succeeded" in skopeo(*login, daemon.address)
        skopeo("copy", *authfile, *folder, f"oci:{source}:v1", there)
        skopeo("inspect", *authfile, "--cert-dir", certificates, there)


def test_what_no_rule_allows_is_not_allowed(registry: Daemon) -> None:
    wire = Wire(registry.address)
    for who, expected in (("", 401), (f"bob:{USERS['bob']}", 401), (f"ada:{USERS['ada']}", 202)):
        status, token = asked(registry, "repository:team/app:pull,push", who)
        assert status == 200
        started = wire.request("POST", "/v2/team/app/blobs/uploads/", headers={"Authorization": f"Bearer {token}"})
        assert started.status == expected, who
    assert asked(registry, "repository:team/app:pull", "ada:wrong")[0] == 401
    assert wire.request("GET", "/v2/").status == 401
    assert asked(registry, "repository:team/app:pull", path="/token")[0] == 404


def test_the_private_key_is_nobodys_but_its_owners(registry: Daemon) -> None:
    keys = registry.folder / "tokens" / "keys" / "keys.json"
    assert keys.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"service": "another"}, "auth.token.service"),
        ({"server": "/absent/tokens.yml"}, "auth.token.server"),
        ({"rootcertbundle": "/absent.pem"}, "auth.token.rootcertbundle"),
    ],
)
def test_files_that_do_not_belong_together_stop_the_start(
    changed: Mapping[str, object], says: str, tmp_path: Path
) -> None:
    daemon = Daemon(tmp_path, config=config_of(tmp_path, http=None, **changed))
    daemon.start(wait=False)
    assert daemon.process is not None
    assert daemon.process.wait(60) != 0
    assert f"{says}: " in daemon.log
    assert "Traceback" not in daemon.log
