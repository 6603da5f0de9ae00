"""Limits as a client meets them: headers, waiting, 429, and who counts as whom."""

import json
from collections.abc import Mapping

import bcrypt
import pytest
import yaml

from spec.conftest import Configured
from support.daemon import Daemon
from support.registry_client import RegistryClient, Response

HOUR = {"rate": 60, "period": "hour", "burst": 3, "wait": "0s"}


def limiter(**changes: object) -> dict[str, object]:
    whole: dict[str, object] = {
        "name": "each",
        "match": {"type": "IP"},
        "precedence": 1,
        "limit": HOUR,
        "action": {"hard_action": "block"},
    }
    return {**whole, **changes}


def limiting(*limiters: Mapping[str, object], **more: object) -> str:
    return yaml.safe_dump({"rate_limiter": {"enabled": True, "limiters": list(limiters)}, **more})


def ask(daemon: Daemon, path: str = "/v2/", **headers: str) -> Response:
    with RegistryClient(daemon.address) as client:
        return client.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_an_answer_says_how_near_the_limit_is(configured: Configured) -> None:
    daemon = configured(limiting(limiter()))
    response = ask(daemon)
    assert response.status == 200
    assert response.headers["X-RateLimit-Limit"] == "60"
    assert response.headers["X-RateLimit-Remaining"] == "2"
    assert response.headers["X-RateLimit-Reset"] == "60"
    assert response.headers["RateLimit"] == "limit=60, remaining=2, reset=60"
    assert response.headers["RateLimit-Policy"] == "60;w=3600"


def test_one_too_many_is_429_in_the_specifications_form(configured: Configured) -> None:
    daemon = configured(limiting(limiter()))
    assert [ask(daemon).status for _ in range(3)] == [200, 200, 200]
    for _ in range(3):
        response = ask(daemon, "/v2/a/manifests/latest")
        assert response.status == 429
        (error,) = json.loads(response.body)["errors"]
        assert error["code"] == "TOOMANYREQUESTS"
        assert error["detail"] == {"ip": "127.0.0.1", "limit": "each", "remaining": 0}
        assert 50 <= int(response.headers["Retry-After"]) <= 60
        assert response.headers["X-RateLimit-Remaining"] == "0"
    assert daemon.log.count("a client is over its rate limit") == 1
    assert ask(daemon, "/").status == 200  # A load balancer asks there.


def test_who_comes_back_in_time_gets_in(configured: Configured) -> None:
    daemon = configured(limiting(limiter(limit={"rate": 1, "period": "second", "burst": 1, "wait": "0s"})))
    statuses: list[int] = []
    while statuses.count(200) < 3:
        response = ask(daemon)
        statuses.append(response.status)
        assert response.status == 200 or int(response.headers["Retry-After"]) == 1
    assert 429 in statuses


def test_a_request_waits_for_its_turn_before_it_is_refused(configured: Configured) -> None:
    daemon = configured(limiting(limiter(limit={"rate": 20, "period": "second", "burst": 1})))
    assert {ask(daemon).status for _ in range(30)} == {200}


@pytest.mark.parametrize(
    "changes", [{"log_only": True}, {"action": {"hard_action": "log"}}, {"action": {"hard_action": "none"}}]
)
def test_a_limiter_may_only_look_on(configured: Configured, changes: dict[str, object]) -> None:
    daemon = configured(limiting(limiter(**changes)))
    assert {ask(daemon).status for _ in range(6)} == {200}
    is_said = changes != {"action": {"hard_action": "none"}}
    assert daemon.log.count("a client is over its rate limit") == int(is_said)


def test_a_client_that_nears_its_limit_is_named_once(configured: Configured) -> None:
    action = {"hard_action": "block", "warn_threshold": 0.5, "warn_action": "log"}
    daemon = configured(limiting(limiter(action=action)))
    for _ in range(3):
        ask(daemon)
    assert daemon.log.count("a client nears its rate limit") == 1


def test_without_redis_it_is_said_once_that_each_node_counts_for_itself(configured: Configured) -> None:
    daemon = configured(limiting(limiter()))
    assert daemon.log.count("each node counts for itself") == 1


class TestWhoIsWho:
    """Clients behind a proxy are told apart only if the proxy is believed."""

    def test_a_proxy_on_this_machine_is(self, configured: Configured) -> None:
        daemon = configured(limiting(limiter()))
        for address in ("198.51.100.1", "198.51.100.2"):
            assert [ask(daemon, X_Forwarded_For=address).status for _ in range(4)] == [200, 200, 200, 429]

    def test_of_several_proxies_those_that_are_named_are(self, configured: Configured) -> None:
        daemon = configured(limiting(limiter(), http={"trustedproxies": ["10.0.0.0/8"]}))
        for address in ("198.51.100.1", "198.51.100.2"):
            forwarded = [f"203.0.113.{number}, {address}, 10.0.0.{number}" for number in range(4)]
            assert [ask(daemon, X_Forwarded_For=text).status for text in forwarded] == [200, 200, 200, 429]

    def test_addresses_of_one_ipv6_network_are_one_client(self, configured: Configured) -> None:
        daemon = configured(limiting(limiter()))
        addresses = [f"2001:db8:1:2::{number}" for number in range(4)]
        assert [ask(daemon, X_Forwarded_For=text).status for text in addresses] == [200, 200, 200, 429]

    def test_users_are_counted_by_name_wherever_they_are(
        self, configured: Configured, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
        users = tmp_path_factory.mktemp("users") / "htpasswd"
        users.write_text("".join(f"{name}:{hashed}\n" for name in ("ann", "ben")))
        auth = {"htpasswd": {"realm": "r", "path": str(users)}}
        daemon = configured(limiting(limiter(match={"type": "user"}), auth=auth))
        for credentials in ("YW5uOnNlY3JldA==", "YmVuOnNlY3JldA=="):
            said = [
                ask(daemon, Authorization=f"Basic {credentials}", X_Forwarded_For=f"198.51.100.{number}")
                for number in range(4)
            ]
            assert [response.status for response in said] == [200, 200, 200, 429]
            assert "ip" not in json.loads(said[-1].body)["errors"][0]["detail"]


def test_limiters_go_by_their_precedence(configured: Configured) -> None:
    wide = limiter(name="wide", precedence=5, limit={**HOUR, "burst": 5})
    narrow = limiter(name="narrow", precedence=2, limit={**HOUR, "burst": 2})
    daemon = configured(limiting(wide, narrow))
    responses = [ask(daemon) for _ in range(3)]
    assert [response.status for response in responses] == [200, 200, 429]
    assert json.loads(responses[-1].body)["errors"][0]["detail"]["limit"] == "narrow"
