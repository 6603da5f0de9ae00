"""A client of the token server, with an address of its own."""

import base64
import http.client
import json
import time
from dataclasses import dataclass
from urllib.parse import urlencode

from moorage.auth.issuer import IssuerKeys, watch_bundle
from moorage.auth.tokens import Verified, Verifier
from support.token_server import ISSUER, SERVICE, TokenServer


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, object]

    @property
    def text(self) -> str:
        return str(self.body["access_token"])

    @property
    def codes(self) -> list[str]:
        errors = self.body["errors"]
        assert isinstance(errors, list)
        return [error["code"] for error in errors]

    @property
    def message(self) -> str:
        errors = self.body["errors"]
        assert isinstance(errors, list)
        return str(errors[0]["message"])


class Client:
    """A client at an address of its own, so that one test's wrong passwords do not slow down another."""

    count = 0

    def __init__(self, server: TokenServer) -> None:
        self.server = server
        Client.count += 1
        self.address = f"192.0.2.{Client.count}"

    def send(self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection(self.server.address, timeout=30)
        try:
            connection.request(method, target, body or None, {"X-Forwarded-For": self.address, **(headers or {})})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        assert found["cache-control"] == "no-store"
        return Answer(response.status, found, json.loads(content) if content else {})

    def get(self, *scopes: str, user: tuple[str, str] | None = None, path: str = "/token", **query: str) -> Answer:
        pairs = [*{"service": SERVICE, **query}.items(), *(("scope", scope) for scope in scopes)]
        return self.send("GET", f"{path}?{urlencode(pairs)}", headers=basic(user) if user else {})

    def post(self, **form: str) -> Answer:
        whole = {"service": SERVICE, "client_id": "test", **form}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.send("POST", "/token", urlencode(whole).encode(), headers)

    def verified(self, token: str) -> Verified:
        """What a registry makes of a token."""
        keys = IssuerKeys(watch_bundle(self.server.bundle), None)()
        return Verifier(issuer=ISSUER, service=SERVICE).verify(token, keys, now=time.time())

    def granted(self, answer: Answer) -> set[tuple[str, str]]:
        assert answer.status == 200, answer
        accesses = self.verified(answer.text).grant.accesses
        assert accesses is not None
        return {(access.name, access.action) for access in accesses}


def basic(user: tuple[str, str]) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(":".join(user).encode()).decode()}


def claims(token: str) -> dict[str, object]:
    payload = token.split(".")[1]
    found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert isinstance(found, dict)
    return found
