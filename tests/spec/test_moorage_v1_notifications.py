"""``/moorage/v1/notifications/``: what waits and what failed, without a secret; and what events say of a request."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moorage.notifications.events import Audience, Listener
from spec.expect import errors_of, holds_for_every_response
from spec.test_gitlab_tokens import NAME, gitlab_token
from support.images import push_image
from support.in_process import InProcess
from support.registry_client import RegistryClient, Response
from support.tokens import Issuer

JSON = {"Content-Type": "application/json"}
AUDIENCE = Audience(listeners=(Listener(name="told"),), source={"addr": "node:5000", "instanceID": "i"})
SECRETS = ("s3cr3t", "eyJ")


class Api(RegistryClient):
    """A client of a registry that tells an endpoint, which is not there."""

    def __init__(self, registry: InProcess, headers: dict[str, str] | None = None) -> None:
        super().__init__(registry.address, headers=headers or {}, observe=holds_for_every_response)
        self.registry = registry

    def ask(self, path: str) -> dict[str, Any]:
        response = self.request("GET", f"/moorage/v1/notifications/{path}")
        assert response.status == 200, response
        assert not any(secret in response.body.decode() for secret in SECRETS)
        return response.json()

    def send(self, path: str, body: object) -> Response:
        return self.request("POST", f"/moorage/v1/notifications/{path}", body=json.dumps(body).encode(), headers=JSON)

    def counted(self, path: str, **body: object) -> int:
        response = self.send(path, body)
        assert response.status == 200, response
        return int(str(response.json()["count"]))

    def fail(self, *ids: int) -> None:
        """Let events have failed for good."""
        for each in ids:
            statement = "UPDATE notification_queue SET tries = 11, error = 'no', failed_at = 1 WHERE id = ?"
            self.registry.execute(statement, each)

    def waiting(self) -> list[int]:
        return [each["id"] for each in self.ask("list?state=waiting")["notifications"]]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with InProcess(tmp_path, audience=AUDIENCE) as registry, Api(registry) as client:
        yield client


def test_a_new_registry_has_nothing_to_tell(api: Api) -> None:
    assert api.ask("list") == {"notifications": []}
    assert api.ask("status") == {
        "endpoints": [
            {
                "name": "told",
                "url": "https://***@receiver.example.com/events?***",
                "delivered": False,
                "waiting": 0,
                "waiting_since": None,
                "failed": 0,
                "error": None,
            }
        ]
    }


def test_what_waits_and_what_failed_is_counted_and_listed(api: Api) -> None:
    push_image(api, "group/app", "v1")
    first, *others = api.waiting()
    api.fail(first)
    (found,) = api.ask("status")["endpoints"]
    assert (found["waiting"], found["failed"], found["error"]) == (len(others), 1, "no")
    assert found["waiting_since"] is not None
    (failed,) = api.ask("list")["notifications"]
    assert (failed["id"], failed["tries"], failed["error"]) == (first, 11, "no")
    assert (failed["endpoint"], failed["repository"], failed["action"]) == ("told", "group/app", "push")
    assert api.ask("list?endpoint=another")["notifications"] == []


def test_a_list_has_pages(api: Api) -> None:
    push_image(api, "group/app", "v1")
    whole = api.waiting()
    found: list[int] = []
    path = "list?state=waiting&n=2"
    while path:
        response = api.request("GET", f"/moorage/v1/notifications/{path}")
        found += [each["id"] for each in json.loads(response.body)["notifications"]]
        link = response.headers.get("Link", "")
        path = link[link.find("list?") : link.find(">")] if link else ""
    assert found == whole


def test_what_failed_waits_again_on_command(api: Api) -> None:
    push_image(api, "group/app", "v1")
    ids = api.waiting()
    api.fail(*ids)
    assert api.counted("retry", ids=ids[:1]) == 1
    assert api.waiting() == ids[:1]
    assert api.counted("retry", endpoint="another") == 0
    assert api.counted("retry") == len(ids) - 1
    assert api.waiting() == ids


def test_what_failed_or_waits_is_dropped_on_command(api: Api) -> None:
    push_image(api, "group/app", "v1")
    ids = api.waiting()
    api.fail(*ids[:2])
    assert api.counted("drop", ids=ids[:1]) == 1
    assert api.counted("drop", endpoint="told") == 1
    assert api.counted("drop", endpoint="told", state="waiting") == len(ids) - 2
    assert api.registry.execute("SELECT * FROM notification_queue") == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("drop", {}),
        ("drop", {"state": "waiting"}),
        ("drop", {"ids": [0]}),
        ("drop", {"ids": ["1"]}),
        ("drop", {"ids": [1 << 63]}),
        ("drop", {"ids": [1] * 1001}),
        ("drop", {"endpoint": "told", "state": "gone"}),
        ("retry", {"endpoint": ""}),
        ("retry", {"endpoint": None}),
        ("retry", {"endpoint": "a\0b"}),
        ("retry", {"everything": True}),
        ("retry", []),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(api: Api, path: str, body: object) -> None:
    response = api.send(path, body)
    assert response.status == 400
    assert errors_of(response)


@pytest.mark.parametrize("query", ["state=gone", "n=0", "n=1001", "last=x", "id=1", "endpoint=", "n=1&n=2"])
def test_a_query_that_makes_no_sense_is_refused(api: Api, query: str) -> None:
    assert api.request("GET", f"/moorage/v1/notifications/list?{query}").status == 400


def test_an_event_that_is_not_there_is_unknown(api: Api) -> None:
    response = api.request("GET", "/moorage/v1/notifications/event?notification=1")
    assert response.status == 404
    assert errors_of(response)[0]["code"] == "NOTIFICATION_UNKNOWN"


def test_an_event_says_who_asked_for_what(api: Api) -> None:
    headers = {"User-Agent": "t\u00e9st/1".encode().decode("latin-1"), "X-Request-Id": "mine"}
    with Api(api.registry, headers=headers) as client:
        push_image(client, "group/app", "v1")
    event = api.ask(f"event?notification={api.waiting()[-1]}")
    request = dict(event["request"])
    assert request.pop("addr").startswith("127.0.0.1:")
    assert request == {"id": "mine", "host": api.registry.address, "method": "PUT", "useragent": "t\u00e9st/1"}
    assert event["actor"] == {}
    assert event["source"] == {"addr": "node:5000", "instanceID": "i"}
    assert event["target"]["url"].startswith(f"{api.registry.url}/v2/group/app/manifests/sha256:")


def test_behind_a_proxy_the_address_is_the_client_s(api: Api) -> None:
    with Api(api.registry, headers={"X-Forwarded-For": "192.0.2.7"}) as client:
        push_image(client, "group/app", "v1")
    assert api.ask(f"event?notification={api.waiting()[-1]}")["request"]["addr"] == "192.0.2.7"


def test_a_user_agent_that_is_no_text_hurts_nobody(api: Api) -> None:
    with Api(api.registry, headers={"User-Agent": b"a\xff\xfeb".decode("latin-1")}) as client:
        push_image(client, "group/app", "v1")
    shown = api.ask(f"event?notification={api.waiting()[-1]}")["request"]["useragent"]
    assert shown == shown.encode("utf-8", "replace").decode()
    assert shown[0] + shown[-1] == "ab"


def test_gitlab_s_token_of_the_user_goes_to_the_receiver_and_is_shown_to_nobody_else(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    token = gitlab_token(["push", "pull"])
    with InProcess(tmp_path, guard=issuer.guard(), audience=AUDIENCE) as registry:
        with RegistryClient(registry.address, headers={"Authorization": f"Bearer {token}"}) as client:
            push_image(client, NAME, "v1")
        ((identity, payload),) = registry.execute("SELECT id, payload FROM notification_queue ORDER BY id DESC LIMIT 1")
        actor = json.loads(payload)["actor"]
        assert (actor["name"], actor["user_type"]) == ("developer", "gitlab_or_ldap")
        assert actor["user"].count(".") == 2
        access = [{"type": "registry", "name": "catalog", "actions": ["*"]}]
        everything = gitlab_token([], access=access)
        with Api(registry, headers={"Authorization": f"Bearer {everything}"}) as client:
            assert client.ask(f"event?notification={identity}")["actor"] == {**actor, "user": "***"}
