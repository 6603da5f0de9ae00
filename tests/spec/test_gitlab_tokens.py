"""Tokens exactly as GitLab mints them, made here by hand; and each of their parts when it is wrong.

Source: GitLab features TKC-001 to TKC-013, TOK-001 to TOK-006.
"""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from spec.expect import errors_of, holds_for_every_response
from spec.wire import exchange, head
from support import images
from support.in_process import InProcess
from support.registry_client import RegistryClient, Response
from support.tokens import ISSUER, REALM, SERVICE, Issuer, rsa_key

NAME = "mygroup/myproject/app"
MADE = images.image("gitlab tokens")
PUSH = ("PUT", f"/v2/{NAME}/manifests/latest")


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def key_id() -> str:
    """``lib/json_web_token/rsa_token.rb``: SHA-256 of the DER of the public key, 30 bytes, Base32, in groups of 4."""
    der = rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
    return ":".join(text[place : place + 4] for place in range(0, 48, 4))


def rs256(header: dict[str, Any], payload: dict[str, Any], key_name: str = "gitlab") -> str:
    start = ".".join(encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, payload))
    signature = rsa_key(key_name).sign(start.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{start}.{encoded(signature)}"


def gitlab_token(
    actions: list[str],
    *,
    header: dict[str, Any] | None = None,
    key_name: str = "gitlab",
    **changed: Any,  # noqa: ANN401 - claims of any type
) -> str:
    now = int(time.time())
    user_info = {"token_type": "gitlab_or_ldap", "username": "developer", "user_id": 7}
    usual_header = {"typ": "JWT", "alg": "RS256", "kid": key_id()}
    nested = rs256(usual_header, {"user_info": user_info, "jti": "a", "iat": now, "nbf": now - 5, "exp": now + 60})
    payload = {
        "access": [
            {
                "type": "repository",
                "name": NAME,
                "actions": actions,
                "meta": {"project_path": "mygroup/myproject", "project_id": 12, "root_namespace_id": 3},
            }
        ],
        "jti": "1b2c0a7e-3f6b-4a5f-8f0e-2c8a7b5d9e10",
        "aud": SERVICE,
        "sub": "developer",
        "iss": ISSUER,
        "iat": now,
        "nbf": now - 5,
        "exp": now + 300,
        "auth_type": "gitlab_or_ldap",
        "user": nested,
        **changed,
    }
    sent = {name: value for name, value in payload.items() if value is not None}
    return rs256({**usual_header, **(header or {})}, sent, key_name)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    guard = Issuer(tmp_path_factory.mktemp("issuer")).guard()
    with InProcess(tmp_path_factory.mktemp("registry"), guard=guard) as found:
        with RegistryClient(
            found.address, headers={"Authorization": f"Bearer {gitlab_token(['push', 'pull'])}"}
        ) as client:
            images.push_blobs(client, NAME, MADE.blobs)
            images.push_manifest(client, NAME, MADE.manifest, "latest")
        yield found


def ask(registry: InProcess, token: str, method: str = "GET", target: str = "") -> Response:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": MADE.manifest.media_type}
    body = MADE.manifest.body if method == "PUT" else None
    with RegistryClient(registry.address, headers=headers, observe=holds_for_every_response) as client:
        return client.request(method, target or f"/v2/{NAME}/manifests/latest", body=body)


@pytest.mark.parametrize(
    ("method", "actions", "status"),
    [
        ("GET", ["pull"], 200),
        ("GET", ["*"], 200),
        ("PUT", ["pull", "push"], 201),
        ("PUT", ["push", "pull"], 201),
        ("PUT", ["*"], 201),
        ("PUT", ["push"], 401),
        ("PUT", ["pull"], 401),
        ("GET", ["push"], 401),
        ("GET", [], 401),
        ("GET", ["delete"], 401),
    ],
)
def test_what_gitlab_signs_is_accepted_for_what_it_says(
    registry: InProcess, method: str, actions: list[str], status: int
) -> None:
    assert ask(registry, gitlab_token(actions), method).status == status


@pytest.mark.parametrize("gone", ["sub", "user", "auth_type", "jti", "iat", "nbf"])
def test_a_claim_that_gitlab_leaves_out_may_be_missing(registry: InProcess, gone: str) -> None:
    changed: dict[str, Any] = {gone: None}
    assert ask(registry, gitlab_token(["pull"], **changed)).status == 200


def test_the_journal_names_the_user(registry: InProcess) -> None:
    response = ask(registry, gitlab_token(["pull"]), target=f"/moorage/v1/history?repository={NAME}")
    assert {entry["actor"] for entry in json.loads(response.body)["entries"]} == {"developer"}


HOUR = 3600
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"iss": "another"}, "the token's iss is 'another', which is not the issuer that this registry trusts"),
    ({"iss": None}, "the token's claim iss is wrong: it is not there, and every token needs it"),
    ({"aud": "dependency_proxy"}, "the token's aud is 'dependency_proxy', this service is 'container_registry'"),
    ({"aud": None}, "the token's claim aud is wrong: it is not there, and every token needs it"),
    ({"exp": int(time.time()) - HOUR}, "the token has expired: its exp is 2"),
    ({"exp": None}, "the token's claim exp is wrong: it is not there, and every token needs it"),
    ({"nbf": int(time.time()) + 24 * HOUR}, "the token is not valid yet: its nbf is 2"),
    ({"access": "all"}, "the token's claim access is wrong: it has to be a list"),
    (
        {"access": [{"type": "repository"}]},
        "the token's claim access.0.name is wrong: it is not there, and every token needs it",
    ),
    ({"header": {"kid": "AAAA:BBBB"}}, "the token is signed by an untrusted key with ID: AAAA:BBBB"),
    ({"header": {"kid": ""}}, "the token does not say which key it is signed by"),
    ({"header": {"alg": "none"}}, "the token's alg 'none' is not accepted"),
    ({"header": {"alg": "HS256"}}, "the token's alg 'HS256' is not accepted"),
    ({"header": {"alg": "RS512"}}, "the token's signature is not that of the key it names"),
    ({"header": {"crit": ["exp"]}}, "the token's header has crit, and no extension is known here"),
    ({"key_name": "stranger"}, "the token's signature is not that of the key it names"),
]


@pytest.mark.parametrize(("changed", "said"), WRONG)
def test_each_part_that_is_wrong_is_named(registry: InProcess, changed: dict[str, Any], said: str) -> None:
    response = ask(registry, gitlab_token(["pull"], **changed))
    assert response.status == 401
    challenge = response.headers["WWW-Authenticate"]
    start = f'Bearer realm="{REALM}",service="{SERVICE}",scope="repository:{NAME}:pull",error="invalid_token"'
    assert challenge.startswith(f'{start},error_description="{said}')
    (error,) = errors_of(response)
    assert error["code"] == "UNAUTHORIZED"
    assert str(error["message"]).startswith(said)


def test_an_action_that_lacks_is_named(registry: InProcess) -> None:
    response = ask(registry, gitlab_token(["pull"]), *PUSH)
    assert response.headers["WWW-Authenticate"] == (
        f'Bearer realm="{REALM}",service="{SERVICE}",scope="repository:{NAME}:pull,push",error="insufficient_scope",'
        f'error_description="the token does not allow push on repository {NAME}"'
    )


@pytest.mark.parametrize("end", ["", "AAAA", "!", "=" * 4, "A" * 342])
def test_another_signature_is_refused(registry: InProcess, end: str) -> None:
    start = gitlab_token(["pull"]).rpartition(".")[0]
    assert ask(registry, f"{start}.{end}").status == 401


@pytest.mark.parametrize("size", [1 << 10, 30 << 10, 33 << 10, 40 << 10])
def test_a_long_token_is_refused_and_no_mistake_of_ours(registry: InProcess, size: int) -> None:
    assert ask(registry, gitlab_token(["pull"], user="x" * size)).status == (200 if size < (22 << 10) else 401)
    assert ask(registry, "x" * size).status == 401


def test_the_internal_tokens_of_gitlab_open_what_it_asks_for(registry: InProcess) -> None:
    """TKN-023: nested paths by their literal name; Rails says no user."""
    access = [
        {"type": "repository", "name": NAME, "actions": ["pull"], "meta": {"project_path": "mygroup/myproject"}},
        {"type": "repository", "name": f"{NAME}/*", "actions": ["pull"], "meta": {"project_path": "mygroup/myproject"}},
    ]
    token = gitlab_token([], access=access, sub=None, user=None)
    for path in (f"repositories/{NAME}/?size=self_with_descendants", f"repository-paths/{NAME}/repositories/list/"):
        assert ask(registry, token, target=f"/gitlab/v1/{path}").status == 200
    assert ask(registry, token, target=f"/v2/{NAME}/sub/tags/list").status == 401
    statistics = gitlab_token([], access=[{"type": "registry", "name": "statistics", "actions": ["*"]}])
    assert ask(registry, statistics, target="/gitlab/v1/statistics/").status == 200
    assert ask(registry, statistics, target="/v2/_catalog").status == 401


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer \xff\xfe",
        b"Bearer " + b"." * 1000,
        b"\xc3\xa9",
        b"Basic \xff",
        b"Bearer a.b.c, Bearer d",
        b"Bearer " + base64.b64encode(b"[" * 3000) + b".a.b",
        b"Bearer\te30.e30.",
        b"Bearer " + b"a" * 60000,
    ],
)
def test_whatever_bytes_come_as_credentials_the_answer_is_a_challenge(registry: InProcess, value: bytes) -> None:
    request = (
        head("GET", f"/v2/{NAME}/manifests/latest", "Connection: close")[:-2] + b"Authorization: " + value + b"\r\n\r\n"
    )
    response = exchange(registry.address, request)
    assert response is not None
    assert response.status == 401, response
    assert response.headers["WWW-Authenticate"].isascii()
    assert errors_of(response)
