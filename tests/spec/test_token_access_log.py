"""The access log of the token server: a line for each request, with the registry's fields, and no secret in it."""

import base64
import http.client
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest
import yaml

from support.daemon import Daemon
from support.token_server import ISSUER, SERVICE, TokenServer

RULES = {"rules": [{"users": ["ada"], "repositories": ["team/**"], "actions": ["pull"]}]}
USERS = {"ada": "ada's password"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BASIC = {"Authorization": "Basic " + base64.b64encode(f"ada:{USERS['ada']}".encode()).decode()}


def send(
    address: str,
    method: str,
    target: str,
    *,
    fields: Mapping[str, str] | None = None,
    headers: Mapping[str, str] = FORM,
) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        body = None if fields is None else urlencode(fields)
        connection.request(method, target, body, {**headers, "User-Agent": "test/1"})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"{}")
    finally:
        connection.close()


def access_lines(log: str) -> list[dict[str, object]]:
    """The lines of requests; those of the test's own look whether it has started are passed over."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in lines if line["msg"] == "access" and line["user_agent"] == "test/1"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TokenServer]:
    with TokenServer(tmp_path, RULES, USERS) as server:
        yield server


def test_each_request_has_a_line_with_the_user_in_every_form(server: TokenServer) -> None:
    target = f"/token?service={SERVICE}&scope=repository:team/app:pull&offline_token=true"
    form = {"service": SERVICE, "grant_type": "password", "username": "ada", "password": USERS["ada"]}
    status, answer = send(server.address, "GET", target, headers={**BASIC, "X-Request-Id": "by-basic"})
    assert status == 200
    refresh = {"service": SERVICE, "grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    assert send(server.address, "POST", "/token", fields=form)[0] == 200
    assert send(server.address, "POST", "/token", fields=refresh)[0] == 200
    assert send(server.address, "GET", f"/token?service={SERVICE}")[0] == 200
    assert send(server.address, "POST", "/token", fields={**form, "password": "wrong"})[0] == 401
    assert send(server.address, "DELETE", "/token")[0] == 405
    assert send(server.address, "GET", "/nothing")[0] == 404
    server.stop()
    found = access_lines(server.log)
    assert [(line["method"], line["status"], line["auth.user.name"]) for line in found] == [
        ("GET", 200, "ada"),
        ("POST", 200, "ada"),
        ("POST", 200, "ada"),
        ("GET", 200, ""),
        ("POST", 401, ""),
        ("DELETE", 405, ""),
        ("GET", 404, ""),
    ]
    assert (found[0]["correlation_id"], found[0]["uri"], found[0]["remote_ip"]) == ("by-basic", target, "127.0.0.1")


def test_behind_a_proxy_a_line_has_the_client_and_the_proxy(server: TokenServer) -> None:
    behind = {"X-Forwarded-For": "192.0.2.1, 203.0.113.9", "Referer": 'https://ci.test/"job"'}
    assert send(server.address, "GET", f"/token?service={SERVICE}", headers=behind)[0] == 200
    server.stop()
    (line,) = access_lines(server.log)
    assert line["remote_ip"] == "203.0.113.9"
    assert re.fullmatch(r"127\.0\.0\.1:\d+", str(line["remote_addr"]))
    assert (line["referrer"], line["content_type"]) == ('https://ci.test/"job"', "application/json")


def test_a_form_in_the_query_is_not_in_the_log(server: TokenServer) -> None:
    """RFC 6749 § 2.3.1: credentials "MUST NOT be included in the request URI", and yet clients do it."""
    secrets = {"password": "s3cret-one", "refresh_token": "s3cret-two", "s3cret-three": "", "Password": "s3cret-four"}
    for method in ("POST", "GET"):
        query = urlencode({"grant_type": "password", **secrets, "service": SERVICE})
        send(server.address, method, f"/token?{query}")
        send(server.address, method, f"http://ada:s3cret-five@{server.address}/token?{query}")
    server.stop()
    assert [line["uri"] for line in access_lines(server.log)] == [f"/token?service={SERVICE}"] * 4
    assert "s3cret" not in server.log


def test_a_target_in_absolute_form_is_the_same_target(server: TokenServer) -> None:
    """RFC 9112 § 3.2.2: "a server MUST accept the absolute-form in requests"."""
    target = f"/token?service={SERVICE}"
    assert send(server.address, "GET", f"http://{server.address}{target}", headers=BASIC)[0] == 200
    assert send(server.address, "GET", f"http://{server.address}/nothing")[0] == 404


def test_it_can_be_switched_off_and_follows_the_format_of_the_log(tmp_path: Path) -> None:
    for name, settings in (("off", {"accesslog": False}), ("text", {"log": "text"})):
        with TokenServer(tmp_path / name, RULES, USERS, **settings) as server:
            assert send(server.address, "GET", f"/token?service={SERVICE}", headers=BASIC)[0] == 200
            server.stop()
            assert access_lines(server.log) == []
            shown = [line for line in server.log.splitlines() if "GET /token?service=" in line]
            assert [" - ada [" in line for line in shown] == ([True] if name == "text" else [])


def test_a_registry_that_gives_tokens_itself_has_them_in_its_own_access_log(tmp_path: Path) -> None:
    files = TokenServer(tmp_path / "tokens", RULES, USERS)
    token = {"realm": "https://registry.test/auth/token", "service": SERVICE, "issuer": ISSUER, "autoredirect": True}
    token |= {"server": str(files.path), "rootcertbundle": str(files.bundle)}
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "data")}}
    tree = {"version": "0.1", "storage": storage, "auth": {"token": token}, "http": {"addr": "127.0.0.1:0"}}
    with Daemon(tmp_path, config=yaml.safe_dump(tree)) as daemon:
        whole = f"http://{daemon.address}/auth/token?service={SERVICE}"
        assert send(daemon.address, "GET", f"/auth/token?service={SERVICE}", headers=BASIC)[0] == 200
        assert send(daemon.address, "GET", whole, headers=BASIC)[0] == 200
        assert send(daemon.address, "GET", "/v2/")[0] == 401
        assert send(daemon.address, "GET", f"http://ada:s3cret@{daemon.address}/v2/?n=1")[0] == 400  # By its Host.
        daemon.stop()
        found = access_lines(daemon.log)
    assert [(line["uri"], line["status"], line["auth.user.name"]) for line in found] == [
        (f"/auth/token?service={SERVICE}", 200, "ada"),
        (f"/auth/token?service={SERVICE}", 200, "ada"),
        ("/v2/", 401, ""),
        ("/v2/?n=1", 400, ""),
    ]
    assert "s3cret" not in daemon.log
