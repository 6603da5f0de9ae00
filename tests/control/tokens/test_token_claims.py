"""TKC-001 to TKC-014: what is in a token, exactly."""

import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings
from django.test import Client
from joserfc import jws

from moorage.auth.access import Access, Action
from moorage.auth.claims import AccessClaim
from moorage.auth.keys import TrustedKeys, key_id, read_certificates
from moorage.auth.tokens import SigningKey, Verifier
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.instance.changes import change_settings
from moorage.control.projects.rules import AccessLevel
from moorage.control.tokens.minting import mint_internal_token
from moorage.control.tokens.signing import RegistryKey
from moorage.errors import ConfigurationError
from moorage.token_server.key_ring import KeyFolder
from support.control_rows import (
    PASSWORD,
    new_bot_token,
    new_deploy_token,
    new_group,
    new_job_token,
    new_member,
    new_project,
    new_token,
    new_user,
)
from support.control_tokens import ask, payload_of


def token_of(client: Client, given: tuple[str, str] | None, *scopes: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(payload_of(ask(client, *scopes, given=given).json()["token"]))
    return found


def keys_folder() -> Path:
    return Path(settings.MOORAGE.configuration.registry.key)


def test_the_claims_of_a_token(client: Client) -> None:
    group = new_group("Top")
    project = new_project(new_group("Inner", parent=group), "App")
    user = new_member(project, AccessLevel.DEVELOPER, new_user("Ada")).user
    before = int(time.time())
    claims = token_of(client, ("ada", new_token(user, "api").secret), "repository:Top/Inner/App/Web:pull,push,delete")
    after = int(time.time())
    nested = json.loads(payload_of(claims.pop("user")))
    assert before <= claims["iat"] <= after
    assert claims == {
        "iss": "moorage-control",
        "aud": "container_registry",
        "sub": "Ada",
        "iat": claims["iat"],
        "nbf": claims["iat"] - 5,
        "exp": claims["iat"] + 300,
        "jti": str(uuid.UUID(claims["jti"], version=4)),
        "auth_type": "personal_access_token",
        "denied": "delete on Top/Inner/App/Web: "
        "the role of this user in the project is developer, and delete needs maintainer",
        "access": [
            {
                "type": "repository",
                "name": "top/inner/app/web",
                "actions": ["pull", "push"],
                "meta": {"project_path": "top/inner/app", "project_id": project.pk, "root_namespace_id": group.pk},
            }
        ],
    }
    info = {"token_type": "personal_access_token", "username": "Ada", "user_id": user.pk}
    moments = {"iat": claims["iat"], "nbf": claims["iat"] - 5, "exp": claims["iat"] + 60}
    assert nested == {"user_info": info, "jti": str(uuid.UUID(nested["jti"], version=4)), **moments}
    assert nested["jti"] != claims["jti"]


def test_each_kind_of_credential_has_its_name_and_its_user(client: Client) -> None:
    project = new_project()
    user = new_user("ada", password=PASSWORD)
    bot, deploy, job = new_bot_token(project), new_deploy_token(project), new_job_token(project, user)
    told = {
        "gitlab_or_ldap": (("ada", PASSWORD), "ada", {"username": "ada", "user_id": user.pk}),
        "personal_access_token": (
            ("x", bot.secret),
            bot.token.user.username,
            {"username": bot.token.user.username, "user_id": bot.token.user_id},
        ),
        "deploy_token": (
            (deploy.token.username, deploy.secret),
            None,
            {"username": deploy.token.username, "deploy_token_id": deploy.token.pk},
        ),
        "build": (("gitlab-ci-token", job.secret), "ada", {"username": "ada", "user_id": user.pk}),
    }
    for kind, (given, subject, info) in told.items():
        claims = token_of(client, given)
        assert (claims["auth_type"], claims.get("sub")) == (kind, subject)
        assert json.loads(payload_of(claims["user"]))["user_info"] == {"token_type": kind, **info}


def test_anybody_is_none_without_a_subject_and_a_user(client: Client) -> None:
    name = new_project(visibility="public").full_path
    claims = token_of(client, None, f"repository:{name}:pull")
    assert claims["auth_type"] == "none"
    assert claims.keys() & {"sub", "user"} == set()


def test_the_catalogue_has_no_meta(client: Client) -> None:
    root = new_token(new_user(is_admin=True), "api").secret
    claims = token_of(client, ("root", root), "registry:catalog:*")
    assert claims["access"] == [{"type": "registry", "name": "catalog", "actions": ["*"]}]


def test_the_header_names_the_key_as_libtrust_does_and_both_public_files_open_it(client: Client) -> None:
    project = new_project(visibility="public").full_path
    token = ask(client, f"repository:{project}:pull").json()["token"]
    key = RegistryKey(keys_folder()).signing(time.time())
    header = jws.extract_compact(token.encode()).headers()
    assert header == {"alg": "ES256", "kid": key_id(key.key), "typ": "JWT"}
    assert [len(part) for part in header["kid"].split(":")] == [4] * 12
    folder = KeyFolder(keys_folder())
    (listed,) = json.loads(folder.jwks.read_text())["keys"]
    assert (listed["kid"], listed["alg"]) == (header["kid"], "ES256")
    trusted = TrustedKeys(read_certificates(folder.bundle.read_bytes()))
    verifier = Verifier(issuer="moorage-control", service="container_registry")
    grant = verifier.verify(token, trusted, now=time.time()).grant
    assert grant.accesses == frozenset({Access("repository", project, Action.PULL)})
    assert grant.projects == {project: project}


def test_administrators_set_how_long_a_token_lives_and_it_counts_at_once(client: Client) -> None:
    given = ("ada", new_token(new_user("ada"), "api").secret)
    for minutes in (1, 15, 24 * 60):
        change_settings(by=COMMAND_LINE, container_registry_token_expire_delay=minutes)
        claims = token_of(client, given)
        assert claims["exp"] - claims["iat"] == minutes * 60


def test_a_token_for_a_call_of_its_own_has_no_user_and_lives_ten_minutes_at_most() -> None:
    asked = [AccessClaim(type="repository", name="a/b", actions=["pull"])]
    claims = json.loads(payload_of(mint_internal_token(asked)))
    assert claims["access"] == [{"type": "repository", "name": "a/b", "actions": ["pull"]}]
    assert claims["exp"] - claims["iat"] == 300
    assert claims.keys() & {"sub", "user", "auth_type"} == set()
    change_settings(by=COMMAND_LINE, container_registry_token_expire_delay=24 * 60)
    claims = json.loads(payload_of(mint_internal_token(asked)))
    assert claims["exp"] - claims["iat"] == 600


def test_a_key_of_a_gitlab_site_signs_as_it_is(tmp_path: Path) -> None:
    private = generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (tmp_path / "registry.key").write_bytes(pem)
    key = RegistryKey(tmp_path / "registry.key").signing(time.time())
    assert (key.algorithm, key.id) == ("RS256", SigningKey.of(private).id)


def test_a_new_key_of_the_folder_signs_when_its_time_has_come(tmp_path: Path) -> None:
    folder, clock = KeyFolder(tmp_path), [0.0]
    folder.prepare(1000.0)
    key = RegistryKey(tmp_path, monotonic=lambda: clock[0])
    first = key.signing(1000.0).id
    folder.rotate(1000.0)
    clock[0] += 2
    assert key.signing(1005.0).id == first
    assert key.signing(1011.0).id != first


@pytest.mark.parametrize("content", [None, b"no key"])
def test_a_key_that_cannot_be_used_is_told(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "registry.key").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"registry\.key"):
        RegistryKey(tmp_path / "registry.key")
