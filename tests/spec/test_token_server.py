"""The token endpoint over HTTP, in Docker's form and in OAuth2's, sentence by sentence.

Source: Docker token authentication specification, and its OAuth2 part; RFC 6749.
"""

import base64
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from moorage.auth.access import Access, Action
from moorage.auth.tokens import InvalidToken
from spec.token_client import Client, claims
from support.token_server import SERVICE, TokenServer

RULES = {
    "groups": {"developers": ["ada"]},
    "rules": [
        {"users": ["@developers"], "repositories": ["team/**"], "actions": ["pull", "push"]},
        {"users": ["*"], "repositories": ["{user}/**"], "actions": ["*"]},
        {"users": ["anonymous"], "repositories": ["public/**"], "actions": ["pull"]},
    ],
}
USERS = {"ada": "ada's password", "bob": "bob's password", "zoë": "pässwörd"}
ADA = ("ada", USERS["ada"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    with TokenServer(tmp_path_factory.mktemp("tokens"), RULES, USERS) as found:
        yield found


@pytest.fixture
def client(server: TokenServer) -> Client:
    return Client(server)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Client]:
    """A server whose files the test may change."""
    with TokenServer(tmp_path / "own", RULES, USERS) as found:
        yield Client(found)


class TestDockersForm:
    """ "the client will need to make a GET request to the URL … using the service and scope values"."""

    def test_a_user_gets_a_token_for_what_was_asked_and_is_allowed(self, client: Client) -> None:
        answer = client.get("repository:team/app:pull,push,delete", user=ADA)
        assert client.granted(answer) == {("team/app", Action.PULL), ("team/app", Action.PUSH)}
        grant = client.verified(answer.text).grant
        assert (grant.actor, grant.actor_type) == ("ada", "password")

    def test_token_and_access_token_are_the_same(self, client: Client) -> None:
        answer = client.get(user=ADA)
        assert answer.body["token"] == answer.body["access_token"]

    def test_the_answer_says_how_long_and_from_when(self, client: Client) -> None:
        body = client.get(user=ADA).body
        assert body["expires_in"] == 600
        issued_at = datetime.fromisoformat(str(body["issued_at"]))
        assert abs((datetime.now(UTC) - issued_at).total_seconds()) < 60
        said = claims(str(body["token"]))
        assert said["exp"] == issued_at.timestamp() + 600
        assert said["nbf"] == said["iat"] == issued_at.timestamp()

    def test_each_token_has_an_id_of_its_own(self, client: Client) -> None:
        assert claims(client.get(user=ADA).text)["jti"] != claims(client.get(user=ADA).text)["jti"]

    def test_less_than_was_asked_for_is_no_error(self, client: Client) -> None:
        answer = client.get("repository:secret/app:pull", user=ADA)
        assert client.granted(answer) == set()
        assert claims(answer.text)["access"] == []

    def test_several_parameters_and_several_scopes_in_one_are_the_same(self, client: Client) -> None:
        wanted = ("repository:team/a:pull", "repository:team/b:pull,push")
        assert client.granted(client.get(*wanted, user=ADA)) == client.granted(client.get(" ".join(wanted), user=ADA))

    def test_a_mount_from_a_repository_of_somebody_else_gets_what_is_its_own(self, client: Client) -> None:
        answer = client.get("repository:ada/app:pull,push", "repository:bob/app:pull", user=ADA)
        assert client.granted(answer) == {("ada/app", Action.PULL), ("ada/app", Action.PUSH)}

    def test_unknown_kinds_are_passed_over(self, client: Client) -> None:
        answer = client.get("cluster:main:admin", "repository:team/a:pull", user=ADA)
        assert client.granted(answer) == {("team/a", Action.PULL)}

    def test_without_credentials_there_is_what_everybody_may(self, client: Client) -> None:
        answer = client.get("repository:public/app:pull,push", "repository:team/app:pull")
        assert client.granted(answer) == {("public/app", Action.PULL)}
        assert claims(answer.text)["sub"] == ""

    def test_a_login_asks_for_nothing_and_gets_a_token_for_nothing(self, client: Client) -> None:
        answer = client.get(user=ADA, account="ada", client_id="docker", offline_token="true")
        assert client.granted(answer) == set()
        assert answer.body["refresh_token"]

    def test_a_refresh_token_is_there_only_if_asked_for_and_never_for_nobody(self, client: Client) -> None:
        assert "refresh_token" not in client.get(user=ADA).body
        assert "refresh_token" not in client.get(user=ADA, offline_token="false").body
        assert "refresh_token" not in client.get(offline_token="true").body

    @pytest.mark.parametrize("user", [("ada", "wrong"), ("nobody", "wrong"), ("ada", ""), ("ADA", USERS["ada"])])
    def test_wrong_credentials_are_401_whoever_it_is(self, client: Client, user: tuple[str, str]) -> None:
        answer = client.get("repository:public/app:pull", user=user)
        assert (answer.status, answer.codes) == (401, ["UNAUTHORIZED"])
        assert answer.message == "the user or the password is wrong"
        assert answer.headers["www-authenticate"].startswith("Basic realm=")

    @pytest.mark.parametrize("header", ["Bearer x", "Basic", "Basic !!!", "Basic OnB3"])
    def test_credentials_that_are_none_are_not_passed_over(self, client: Client, header: str) -> None:
        answer = client.send("GET", f"/token?service={SERVICE}", headers={"Authorization": header})
        assert answer.status == 401

    def test_passwords_beyond_ascii_are_taken(self, client: Client) -> None:
        assert client.get(user=("zoë", "pässwörd")).status == 200

    def test_a_service_that_is_another_is_told(self, client: Client) -> None:
        answer = client.get(user=ADA, service="other")
        assert answer.status == 400
        assert answer.message == f"tokens for the service 'other' are not given here, but for '{SERVICE}'"

    def test_a_scope_that_is_none_is_told(self, client: Client) -> None:
        assert client.get("repository", user=ADA).status == 400

    def test_what_gitlabs_registries_redirect_to_answers_too(self, client: Client) -> None:
        assert client.get(user=ADA, path="/auth/token").status == 200


class TestOAuth2:
    """ "POST /token … Content-Type: application/x-www-form-urlencoded"."""

    def test_a_password_gets_a_token_and_the_scope_that_it_is_for(self, client: Client) -> None:
        answer = client.post(
            grant_type="password",
            username="ada",
            password=USERS["ada"],
            scope="repository:team/a:pull,push,delete repository:team/b:pull repository:x:pull",
        )
        wanted = {("team/a", Action.PULL), ("team/a", Action.PUSH), ("team/b", Action.PULL)}
        assert client.granted(answer) == wanted
        assert answer.body["scope"] == "repository:team/a:pull,push repository:team/b:pull"
        assert answer.body["expires_in"] == 600
        assert "refresh_token" not in answer.body

    def test_a_refresh_token_gets_tokens_without_the_password(self, client: Client) -> None:
        first = client.post(grant_type="password", username="ada", password=USERS["ada"], access_type="offline")
        refresh = str(first.body["refresh_token"])
        answer = client.post(grant_type="refresh_token", refresh_token=refresh, scope="repository:team/a:pull")
        assert client.granted(answer) == {("team/a", Action.PULL)}
        assert client.verified(answer.text).grant.actor == "ada"
        # The specification wants the same one again.
        assert answer.body["refresh_token"] == refresh

    def test_one_of_dockers_form_is_good_here(self, client: Client) -> None:
        refresh = str(client.get(user=ADA, offline_token="true").body["refresh_token"])
        assert client.post(grant_type="refresh_token", refresh_token=refresh).status == 200

    def test_a_refresh_token_opens_no_registry(self, client: Client) -> None:
        refresh = str(client.get(user=ADA, offline_token="true").body["refresh_token"])
        with pytest.raises(InvalidToken):
            client.verified(refresh)

    def test_a_token_is_no_refresh_token(self, client: Client) -> None:
        answer = client.post(grant_type="refresh_token", refresh_token=client.get(user=ADA).text)
        assert (answer.status, answer.body["error"]) == (401, "invalid_grant")

    @pytest.mark.parametrize("user", ["ada", "nobody"])
    def test_a_wrong_password_is_told_in_both_bodies(self, client: Client, user: str) -> None:
        answer = client.post(grant_type="password", username=user, password="wrong")
        assert (answer.status, answer.body["error"], answer.codes) == (401, "invalid_grant", ["UNAUTHORIZED"])
        assert answer.body["error_description"] == answer.message == "the user or the password is wrong"

    @pytest.mark.parametrize(
        ("form", "error"),
        [
            ({}, "unsupported_grant_type"),
            ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
            ({"grant_type": "password"}, "invalid_request"),
            ({"grant_type": "password", "username": "a:b", "password": "x"}, "invalid_request"),
            ({"grant_type": "password", "service": "other"}, "invalid_request"),
            ({"grant_type": "password", "scope": "nonsense"}, "invalid_scope"),
        ],
    )
    def test_what_is_wrong_with_a_request_is_told(self, client: Client, form: dict[str, str], error: str) -> None:
        answer = client.post(**form)
        assert (answer.status, answer.body["error"]) == (400, error)
        assert answer.message

    def test_a_parameter_that_is_there_twice_is_refused(self, client: Client) -> None:
        body = f"service={SERVICE}&grant_type=password&username=ada&username=bob&password=x".encode()
        answer = client.send("POST", "/token", body, {"Content-Type": "application/x-www-form-urlencoded"})
        assert (answer.status, answer.body["error"]) == (400, "invalid_request")

    def test_a_body_that_is_no_form_is_refused(self, client: Client) -> None:
        assert client.send("POST", "/token", b"{}", {"Content-Type": "application/json"}).status == 400


class TestHostile:
    """What nobody sends by mistake."""

    def test_a_large_body_is_refused_before_it_is_read(self, client: Client) -> None:
        body = b"password=" + b"x" * (1 << 20)
        answer = client.send("POST", "/token", body, {"Content-Type": "application/x-www-form-urlencoded"})
        assert answer.status == 413

    def test_more_scopes_than_a_token_holds_are_refused(self, client: Client) -> None:
        assert client.get(*(f"repository:team/a{number}:pull" for number in range(101)), user=ADA).status == 400
        whole = client.get(*(f"repository:team/a{number}:pull" for number in range(100)), user=ADA)
        assert len(client.granted(whole)) == 100

    def test_more_fields_than_a_form_has_are_refused(self, client: Client) -> None:
        assert client.post(**{f"a{number}": "" for number in range(300)}).status == 400

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD"])
    def test_other_methods_are_refused(self, client: Client, method: str) -> None:
        answer = client.send(method, "/token")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, POST, OPTIONS")

    def test_other_paths_are_refused(self, client: Client) -> None:
        assert client.send("GET", "/v2/").status == 404

    def test_names_that_could_break_out_of_a_token_or_a_log_line_do_not(self, client: Client) -> None:
        answer = client.get('repository:team/"},{"x:pull', user=ADA)
        assert client.granted(answer) == set()
        client.get(user=ADA, client_id='docker"\n{"level":"error"')
        assert all(json.loads(line) for line in client.server.log.splitlines())

    def test_guessing_is_slowed_down_in_either_form(self, own: Client) -> None:
        for _ in range(3):
            own.get(user=("ada", "guess"))
            own.post(grant_type="password", username="ada", password="guess")
        delays = [json.loads(line)["delay_s"] for line in own.server.log.splitlines() if "delay_s" in line]
        assert delays == sorted(delays)
        assert delays[-1] >= 16 * delays[0]

    def test_no_password_and_no_token_is_in_the_log(self, own: Client) -> None:
        answer = own.get(user=ADA, offline_token="true")
        own.post(grant_type="password", username="ada", password="a secret guess")
        own.post(grant_type="refresh_token", refresh_token=str(answer.body["refresh_token"]))
        for secret in (USERS["ada"], "a secret guess", answer.text, str(answer.body["refresh_token"])):
            assert secret not in own.server.log
            assert base64.b64encode(secret.encode()).decode() not in own.server.log


class TestChanges:
    """Files are read again when they change, and keys are rotated, while it serves."""

    def test_new_rules_count_and_bad_ones_leave_the_old(self, own: Client) -> None:
        wanted = "repository:new/app:pull"
        assert own.granted(own.get(wanted, user=ADA)) == set()
        rule = {"users": ["ada"], "repositories": ["new/*"], "actions": ["pull"]}
        own.server.write_rules({"rules": [rule]})
        eventually_true(lambda: own.granted(own.get(wanted, user=ADA)) == {("new/app", Action.PULL)})
        own.server.write_rules({"rules": [{"users": ["ada"], "repositories": ["NEW"], "actions": ["pull"]}]})
        eventually_true(lambda: own.get(user=ADA).status == 200 and "a changed file cannot be used" in own.server.log)
        assert own.granted(own.get(wanted, user=ADA)) == {("new/app", Action.PULL)}

    def test_a_new_password_ends_refresh_tokens(self, own: Client) -> None:
        refresh = str(own.get(user=ADA, offline_token="true").body["refresh_token"])
        own.server.write_users({**USERS, "ada": "another"})
        eventually_true(lambda: own.post(grant_type="refresh_token", refresh_token=refresh).status == 401)
        answer = own.post(grant_type="refresh_token", refresh_token=refresh)
        assert answer.message == "the password was changed since; log in again"
        assert own.get(user=("ada", "another")).status == 200

    def test_keys_are_rotated_while_it_serves(self, own: Client) -> None:
        before, refresh = own.get(user=ADA).text, str(own.get(user=ADA, offline_token="true").body["refresh_token"])
        done = own.server.command("rotate", str(own.server.path), "--after", "0s")
        assert done.returncode == 0, done.stderr
        eventually_true(lambda: kid(own.get(user=ADA).text) != kid(before))
        after = own.get(user=ADA).text
        # A registry that has read the new file takes both.
        assert own.verified(before).grant.actor == own.verified(after).grant.actor == "ada"
        assert own.post(grant_type="refresh_token", refresh_token=refresh).status == 200

    def test_compromised_keys_end_tokens_and_refresh_tokens(self, own: Client) -> None:
        before, refresh = own.get(user=ADA).text, str(own.get(user=ADA, offline_token="true").body["refresh_token"])
        assert own.server.command("rotate", str(own.server.path), "--compromised").returncode == 0
        with pytest.raises(InvalidToken):
            own.verified(before)
        eventually_true(lambda: own.post(grant_type="refresh_token", refresh_token=refresh).status == 401)

    def test_a_restart_keeps_the_keys(self, own: Client) -> None:
        before = own.get(user=ADA, offline_token="true")
        assert own.server.stop() == 0
        own.server.start()
        assert kid(own.get(user=ADA).text) == kid(before.text)
        assert own.post(grant_type="refresh_token", refresh_token=str(before.body["refresh_token"])).status == 200


class TestCommands:
    """``moorage token``."""

    def explain(self, server: TokenServer, *words: str) -> subprocess.CompletedProcess[str]:
        return server.command("explain", str(server.path), *words)

    def test_explain_says_which_rule_allows(self, server: TokenServer) -> None:
        said = self.explain(server, "ada", "repository:team/app:pull")
        assert (said.returncode, said.stdout) == (
            0,
            "repository:team/app pull: allowed: rule 1: @developers, team/**\n",
        )

    def test_explain_says_why_not_and_fails(self, server: TokenServer) -> None:
        said = self.explain(server, "anonymous", "repository:public/app:push")
        why = "no rule gives push to somebody without a password on public/app; rule 3 gives pull"
        assert (said.returncode, said.stdout) == (1, f"repository:public/app push: denied: {why}\n")

    def test_explain_knows_who_cannot_log_in(self, server: TokenServer) -> None:
        said = self.explain(server, "carol", "repository:carol/app:pull", "--json")
        (answer,) = json.loads(said.stdout)
        assert not answer["allowed"]
        assert answer["reason"] == f"carol is not in {server.users} and cannot log in"

    def test_explain_warns_of_a_user_who_has_by_name_what_another_rule_gives(self, tmp_path: Path) -> None:
        server = TokenServer(tmp_path, RULES, {**USERS, "team": "x"})
        said = self.explain(server, "team", "repository:team/app:pull")
        assert said.returncode == 0
        assert said.stdout.startswith("repository:team/app pull: allowed: ")
        assert said.stderr.startswith("warning: the user 'team' has by {user} of rule 2 what another calls team/**\n")
        as_json = self.explain(server, "team", "repository:team/app:pull", "--json")
        assert json.loads(as_json.stdout)
        assert as_json.stderr == said.stderr
        assert self.explain(server, "ada", "repository:team/app:pull").stderr == ""

    def test_what_is_explained_is_what_a_token_has(self, client: Client) -> None:
        scope = "repository:ada/app:pull,push,delete,admin"
        answers = json.loads(self.explain(client.server, "ada", scope, "--json").stdout)
        assert {("ada/app", answer["action"]) for answer in answers if answer["allowed"]} == client.granted(
            client.get(scope, user=ADA)
        )

    def test_a_start_names_every_mistake(self, tmp_path: Path) -> None:
        rule = {"users": ["@nobody"], "registry": ["catalog"]}
        server = TokenServer(tmp_path, {"rules": [rule]}, USERS, tls={"certificate": "absent.crt", "key": "absent.key"})
        server.users.unlink()
        said = server.command("serve", str(server.path))
        assert said.returncode == 1
        assert said.stderr.splitlines() == [
            f"error: users: cannot use {server.users}: No such file or directory",
            f"error: {server.rules}: rules[0].users: there is no group 'nobody'",
            f"error: tls.certificate: cannot read {tmp_path}/absent.crt: No such file or directory",
            f"error: tls.key: cannot read {tmp_path}/absent.key: No such file or directory",
        ]

    def test_settings_that_cannot_be_used_are_told(self, tmp_path: Path) -> None:
        server = TokenServer(tmp_path, RULES, USERS, lifetime="2h", adr="x")
        said = server.command("serve", str(server.path))
        assert said.stderr.splitlines() == [
            "error: lifetime: from 1m to 1h is possible",
            "error: adr: unknown key; did you mean addr?",
        ]

    def test_an_address_in_use_is_told(self, server: TokenServer, tmp_path: Path) -> None:
        other = TokenServer(tmp_path, RULES, USERS, addr=server.address)
        said = other.command("serve", str(other.path))
        assert said.returncode == 1
        assert said.stderr.startswith(f"error: addr: cannot listen on {server.address}")


def kid(token: str) -> object:
    header = token.split(".", maxsplit=1)[0]
    return json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]


def eventually_true(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_accesses_are_those_of_the_registrys_own_words(client: Client) -> None:
    accesses = client.verified(client.get("repository:ada/app:*", user=ADA).text).grant.accesses
    assert accesses == frozenset([Access("repository", "ada/app", Action.ALL)])
