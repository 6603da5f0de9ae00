"""Commands that ask a registry with authentication: where credentials come from, and where they go."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from moorage.auth.basic import PasswordGuard
from moorage.auth.bearer import Realm, TokenGuard
from moorage.auth.issuer import IssuerKeys, watch_bundle
from moorage.auth.passwords import PasswordFile
from moorage.auth.tokens import Verifier
from moorage.client.credentials import Credentials, NotLoggedIn
from support.images import image, push_blobs, push_manifest
from support.in_process import InProcess
from support.registry_client import RegistryClient
from support.token_endpoint import SECRET, TokenEndpoint
from support.tokens import ISSUER, SERVICE, Issuer
from unit.auth.test_passwords import hashed

REPOSITORY = "group/app"
MADE = image("credentials")
ADA = base64.b64encode(f"ada:{SECRET}".encode()).decode()


class Shell:
    """A user at a prompt, and a registry with authentication that has an image."""

    def __init__(self, registry: InProcess, headers: dict[str, str], endpoint: TokenEndpoint | None = None) -> None:
        self.registry = registry
        self.endpoint = endpoint
        with RegistryClient(registry.address, headers=headers) as client:
            push_blobs(client, REPOSITORY, MADE.blobs)
            for tag in ("1", "2"):
                push_manifest(client, REPOSITORY, MADE.manifest, tag)

    def run(self, *args: str, environ: dict[str, str] | None = None, status: int = 0) -> str:
        """Run ``moorage`` and return what it printed."""
        command = [sys.executable, "-m", "moorage", *args]
        usual = {
            name: value for name, value in os.environ.items() if not name.startswith(("MOORAGE_", "DOCKER_", "XDG_"))
        }
        env = {**usual, "MOORAGE_REGISTRY": self.registry.url, "NO_PROXY": "127.0.0.1", **(environ or {})}
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=env)
        assert done.returncode == status, done
        assert "Traceback" not in done.stderr
        assert SECRET not in done.stdout + done.stderr
        return done.stdout + done.stderr


USER = {"MOORAGE_USERNAME": "ada", "MOORAGE_PASSWORD": SECRET}
WRONG = {"MOORAGE_USERNAME": "ada", "MOORAGE_PASSWORD": "wrong"}


@pytest.fixture
def by_token(tmp_path: Path) -> Iterator[Shell]:
    issuer = Issuer(tmp_path)
    with ExitStack() as stack:
        endpoint = stack.enter_context(TokenEndpoint(issuer))
        keys = IssuerKeys(watch_bundle(issuer.bundle), None)
        guard = TokenGuard(Verifier(issuer=ISSUER, service=SERVICE), keys, Realm(url=endpoint.url))
        registry = stack.enter_context(InProcess(tmp_path, guard=guard))
        yield Shell(registry, issuer.bearer((REPOSITORY, "*")), endpoint)


@pytest.fixture
def by_password(tmp_path: Path) -> Iterator[Shell]:
    users = PasswordFile.parse(f"ada:{hashed(SECRET)}".encode())
    with InProcess(tmp_path, guard=PasswordGuard("Registry", lambda: users)) as registry:
        yield Shell(registry, {"Authorization": f"Basic {ADA}"})


def test_a_token_is_asked_for_with_the_scope_that_the_registry_names(by_token: Shell) -> None:
    assert "deleted" in by_token.run("tag", "delete", REPOSITORY, "1", environ=USER)
    assert by_token.endpoint is not None
    (asked,) = by_token.endpoint.asked
    assert asked == {"service": [SERVICE], "scope": [f"repository:{REPOSITORY}:delete"], "account": ["ada"]}


def test_a_token_for_another_scope_is_asked_for_when_it_is_needed(by_token: Shell) -> None:
    by_token.run("tag", "delete", REPOSITORY, "1", environ=USER)
    by_token.run("tag", "undo", f"{REPOSITORY}:1", environ=USER)
    assert by_token.endpoint is not None
    scopes = [asked["scope"] for asked in by_token.endpoint.asked]
    assert scopes[1:] == [[f"repository:{REPOSITORY}:pull"], [f"repository:{REPOSITORY}:pull,push,delete"]]


def test_a_request_is_undone_with_a_token_for_its_repository(by_token: Shell) -> None:
    said = by_token.run("tag", "delete", REPOSITORY, "1", environ=USER)
    request, *options = said.split("undo with: moorage undo ")[1].split()
    assert "?repository=" in by_token.run("undo", request, status=1, environ=USER)
    assert "changed: 1 tag" in by_token.run("undo", request, *options, environ=USER)


def test_without_credentials_it_is_tried_as_anybody(by_token: Shell) -> None:
    assert "tag create" in by_token.run("tag", "history", REPOSITORY)
    refused = by_token.run("tag", "delete", REPOSITORY, "1", status=1)
    assert "not logged in to 127.0.0.1:" in refused
    assert "does not let everybody do this: moorage login" in refused


def test_who_gets_no_token_is_told_of_the_registry_and_not_only_of_its_token_server(by_token: Shell) -> None:
    assert by_token.endpoint is not None
    by_token.endpoint.refuses_anybody = True
    said = by_token.run("tag", "history", REPOSITORY, status=1)
    registry, _, endpoint = said.partition("not logged in to ")[2].partition(": ")
    assert registry.startswith("127.0.0.1:")
    assert endpoint.startswith(f"{by_token.endpoint.url} gives no token without a user and a password (it said 401)")
    assert registry not in endpoint


def test_a_wrong_password_is_told(by_token: Shell) -> None:
    said = by_token.run("tag", "history", REPOSITORY, status=1, environ=WRONG)
    assert "does not accept ada with this password (it said 401)" in said


def test_a_token_of_ones_own_is_sent_as_it_is(by_token: Shell, tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    good, other = issuer.token((REPOSITORY, "*")), issuer.token(("other", "*"))
    assert "deleted" in by_token.run("tag", "delete", REPOSITORY, "1", environ={"MOORAGE_TOKEN": good})
    said = by_token.run("tag", "delete", REPOSITORY, "2", status=1, environ={"MOORAGE_TOKEN": other})
    assert f"the token does not allow delete on repository {REPOSITORY}" in said
    assert other not in said
    assert by_token.endpoint is not None
    assert by_token.endpoint.asked == []


def test_a_password_is_sent_where_the_registry_asks_for_it(by_password: Shell) -> None:
    assert "deleted" in by_password.run("tag", "delete", REPOSITORY, "1", environ=USER)
    assert " ada " in by_password.run("tag", "history", REPOSITORY, environ=USER)
    said = by_password.run("tag", "history", REPOSITORY, status=1, environ=WRONG)
    assert "does not accept ada with this password" in said
    assert "set MOORAGE_USERNAME and MOORAGE_PASSWORD" in by_password.run("tag", "history", REPOSITORY, status=1)


class TestWhatIsNotSent:
    @pytest.mark.parametrize("url", ["http://registry.example", "http://192.0.2.1:5000", "http://127.0.0.1.example"])
    def test_no_password_goes_where_it_can_be_read(self, url: str) -> None:
        for challenge in ('Basic realm="r"', f'Bearer realm="{url}/token",service="s"'):
            with pytest.raises(NotLoggedIn, match="as it could be read on the way"):
                Credentials("ada", "secret").answer(url, [challenge])

    @pytest.mark.parametrize("url", ["http://registry.example", "http://192.0.2.1:5000", "http://[2001:db8::1]"])
    @pytest.mark.parametrize("environ", [{"MOORAGE_TOKEN": "abc"}, USER], ids=["of ones own", "fetched"])
    def test_no_token_goes_where_it_can_be_read(self, url: str, environ: dict[str, str]) -> None:
        credentials = Credentials.of(environ)
        credentials.header = "Bearer abc"
        with pytest.raises(NotLoggedIn, match=f"the token is not sent to {re.escape(url)}, as it could be read on the"):
            credentials.header_for(url)

    @pytest.mark.parametrize("url", ["https://registry.example", "http://127.0.0.1:5000", "http://localhost:5000"])
    def test_a_token_goes_where_it_cannot_be_read(self, url: str) -> None:
        assert Credentials.of({"MOORAGE_TOKEN": "abc"}).header_for(url) == "Bearer abc"

    @pytest.mark.parametrize("url", ["http://registry.example", "https://registry.example"])
    def test_a_token_that_anybody_is_given_goes_anywhere(self, url: str) -> None:
        credentials = Credentials()
        assert credentials.header_for(url) == ""
        credentials.header = "Bearer for-anybody"
        assert credentials.header_for(url) == "Bearer for-anybody"

    def test_a_command_with_a_token_says_so_and_asks_nothing(self, by_token: Shell) -> None:
        environ = {"MOORAGE_TOKEN": SECRET, "MOORAGE_REGISTRY": "http://registry.invalid"}
        said = by_token.run("tag", "history", REPOSITORY, status=1, environ=environ)
        assert "the token is not sent to http://registry.invalid, as it could be read on the way: use https" in said

    @pytest.mark.parametrize("realm", ["file:///etc/passwd", "ftp://x", "x", "", "https://[::1"])
    def test_a_token_is_asked_for_by_http_only(self, realm: str) -> None:
        with pytest.raises(NotLoggedIn, match="which is no URL"):
            Credentials("ada", "secret").answer("https://r", [f'Bearer realm="{realm}"'])

    @pytest.mark.parametrize("realm", ["http://a b", "http://127.0.0.1:five", "http://a..b", "http://127.0.0.1:1"])
    def test_where_no_token_can_be_asked_for_is_told(self, realm: str) -> None:
        with pytest.raises(NotLoggedIn, match=realm):
            Credentials().answer("https://r", [f'Bearer realm="{realm}"'])

    @pytest.mark.parametrize("challenges", [[], ["Digest realm=x"], ["Bearer"], ["Bearer service=x"], [""]])
    def test_what_is_not_known_is_not_answered(self, challenges: list[str]) -> None:
        assert not Credentials("ada", "secret").answer("https://r", challenges)

    def test_a_password_that_was_sent_is_not_sent_again(self) -> None:
        credentials = Credentials("ada", "secret")
        assert credentials.answer("https://r", ['Basic realm="r"'])
        assert not credentials.answer("https://r", ['Basic realm="r"'])

    def test_nothing_of_it_is_shown(self) -> None:
        credentials = Credentials.of({**USER, "MOORAGE_TOKEN": "abc"})
        assert repr(credentials) == "Credentials(username='ada')"


def test_an_identity_token_is_exchanged_and_not_sent_to_the_registry(by_token: Shell, tmp_path: Path) -> None:
    host = by_token.registry.address
    (tmp_path / ".docker").mkdir()
    kept = {"auths": {host: {"identitytoken": SECRET}}}
    (tmp_path / ".docker" / "config.json").write_text(json.dumps(kept))
    said = by_token.run("tag", "delete", f"{host}/{REPOSITORY}", "1", environ={"HOME": str(tmp_path)})
    assert "1 deleted" in said
    assert by_token.endpoint is not None
    assert {tuple(asked["grant_type"]) for asked in by_token.endpoint.asked} == {("refresh_token",)}


def test_an_identity_token_that_is_not_taken_is_said(by_token: Shell, tmp_path: Path) -> None:
    host = by_token.registry.address
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"auths": {host: {"identitytoken": "old"}}}))
    said = by_token.run("tag", "delete", REPOSITORY, "1", environ={"HOME": str(tmp_path)}, status=1)
    assert "does not take the identity token that is kept (it said 401); log in again" in said


def test_what_the_environment_holds_is_not_sent_to_a_host_that_is_only_typed(by_password: Shell) -> None:
    elsewhere = {**USER, "MOORAGE_REGISTRY": "http://127.0.0.1:1"}
    place = f"{by_password.registry.address}/{REPOSITORY}"
    said = by_password.run("tag", "delete", place, "1", environ=elsewhere, status=1)
    assert "goes only to the registry that MOORAGE_REGISTRY" in said
    assert "deleted" in by_password.run("tag", "delete", place, "1", environ=USER)


@pytest.mark.parametrize("url", ["http://r.example", "http://10.0.0.1:5000"])
def test_a_kept_password_is_not_sent_in_plain_http_to_another_machine(url: str) -> None:
    credentials = Credentials("ada", SECRET)
    with pytest.raises(NotLoggedIn, match="could be read on the way"):
        credentials.answer(url, ['Basic realm="r"'])
    with pytest.raises(NotLoggedIn, match="could be read on the way"):
        Credentials(identity_token=SECRET).answer("https://r.example", [f'Bearer realm="{url}/token"'])
