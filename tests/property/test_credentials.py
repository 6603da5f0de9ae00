"""Whatever is sent as credentials is taken or refused, and never more than was signed is allowed."""

import base64
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.auth.access import Access, Action
from moorage.auth.basic import PasswordGuard
from moorage.auth.passwords import PasswordFile
from moorage.auth.tokens import mint
from moorage.errors import NameInvalid, Unauthorized
from moorage.oci.names import RepositoryName
from support.tokens import Issuer, Visitor, claims, signed

ISSUER = Issuer(Path(tempfile.mkdtemp(prefix="moorage-")))
GUARD = ISSUER.guard()
KEY = ISSUER.signing
GOOD = ISSUER.token(("group/app", "pull"), lifetime_s=10**6)
PULL = Access.repository(RepositoryName("group/app"), Action.PULL)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)
NAMES = (
    st.sampled_from(["group/app", "group/app/*", "*", "", "group", "group/app2", "catalog", "\0", "a" * 300])
    | st.text()
)
ACTIONS = st.sampled_from(["pull", "push", "delete", "*", "PULL", "admin", ""]) | st.text(max_size=5)
META = st.fixed_dictionaries(
    {},
    optional={
        "project_path": st.text(max_size=10) | JSON,
        "project_id": st.integers() | JSON,
        "tag_immutable_patterns": st.lists(st.text(max_size=5), max_size=3) | JSON,
        "tag_deny_access_patterns": JSON
        | st.fixed_dictionaries(
            {}, optional={"push": st.lists(st.text(max_size=5), max_size=3) | JSON, "delete": JSON}
        ),
    },
)
ENTRY = st.fixed_dictionaries(
    {"type": st.sampled_from(["repository", "registry", "repository(plugin)", ""]) | JSON, "name": NAMES | JSON},
    optional={"actions": st.lists(ACTIONS, max_size=4) | JSON, "meta": META | JSON},
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "iss": JSON,
        "aud": JSON,
        "exp": st.integers() | st.floats() | JSON,
        "nbf": JSON,
        "iat": JSON,
        "jti": JSON,
        "sub": JSON,
        "user": st.text() | JSON,
        "auth_type": JSON,
        "access": st.lists(ENTRY, max_size=4) | JSON,
    },
)


async def opened(header: str, *wanted: Access) -> bool:
    """Whether the header opens what is *wanted*; any other exception than a refusal fails the test."""
    try:
        await GUARD.check(Visitor({"Authorization": header}), wanted)
    except Unauthorized as exc:
        challenge = exc.challenge.header
        assert challenge.isprintable()
        assert challenge.isascii()
        assert exc.message
        return False
    return True


@given(header=st.text() | st.text().map("Bearer {}".format) | st.binary().map(lambda raw: raw.decode("latin-1")))
async def test_no_text_is_a_token(header: str) -> None:
    assert not await opened(header)


SEGMENT = st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="))
HEAD = (JSON | st.dictionaries(st.sampled_from(["alg", "kid", "x5c", "jwk", "crit", "b64"]), JSON, max_size=4)).map(
    lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
)


@given(head=HEAD | SEGMENT, body=SEGMENT, signature=SEGMENT)
async def test_nothing_that_looks_like_a_token_is_one(head: str, body: str, signature: str) -> None:
    assert not await opened(f"Bearer {head}.{body}.{signature}")
    _, good_body, good_signature = GOOD.split(".")
    assert not await opened(f"Bearer {head}.{good_body}.{good_signature}")


@given(at=st.integers(0, len(GOOD) - 1), char=st.characters(min_codepoint=33, max_codepoint=126))
async def test_a_token_with_one_other_character_is_another(at: int, char: str) -> None:
    changed = GOOD[:at] + char + GOOD[at + 1 :]
    assert await opened(f"Bearer {changed}", *PULL) is (changed == GOOD)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(changed=CLAIMS)
async def test_whatever_the_issuer_signs_opens_what_it_says_and_no_more(changed: dict[str, Any]) -> None:
    whole = json.loads(claims(("group/app", "pull")).model_dump_json()) | changed
    token = signed({}, json.dumps(whole).encode("utf-8", "surrogatepass"), KEY)
    for action in (Action.PULL, Action.PUSH, Action.DELETE):
        if await opened(f"Bearer {token}", Access("repository", "group/app", action)):
            assert any(
                entry["type"] == "repository"
                and entry["name"] == "group/app"
                and {action.value, "*"} & {*entry["actions"]}
                for entry in whole["access"]
            )
            assert whole["exp"] > time.time() - 61


@given(header=JSON)
async def test_any_header_of_a_signed_token_is_taken_or_refused(header: Any) -> None:  # noqa: ANN401 - any JSON
    try:
        token = signed({"kid": header, "x5c": header, "jwk": header}, b"{}", KEY)
    except Exception:  # noqa: BLE001 - what cannot be signed cannot be sent
        return
    assert not await opened(f"Bearer {token}")


@given(
    header=st.text()
    | st.text().map("Basic {}".format)
    | st.binary().map(lambda raw: f"Basic {base64.b64encode(raw).decode()}")
)
async def test_any_text_is_a_password_or_none(header: str) -> None:
    async def at_once(_: float) -> None:
        """Do not wait."""

    guard = PasswordGuard("r", lambda: PasswordFile.parse(b""), check=lambda _password, _hash: False, sleep=at_once)
    with pytest.raises(Unauthorized):
        await guard.check(Visitor({"Authorization": header}), ())


@given(text=st.text(max_size=20) | st.from_regex(r"\A[a-z/._*-]{1,12}\Z"))
def test_a_name_is_a_repository_or_no_name(text: str) -> None:
    """So that no repository is called as a wildcard of a token is."""
    try:
        name = RepositoryName.parse(text)
    except NameInvalid:
        return
    assert "*" not in name.text
    assert ":" not in name.text
    assert " " not in name.text


@given(names=st.lists(st.from_regex(r"\A[a-z0-9]{1,5}(/[a-z0-9]{1,5})?\Z"), min_size=1, max_size=5, unique=True))
async def test_a_challenge_can_be_answered_word_for_word(names: list[str]) -> None:
    """What the scope asks for, signed, opens the request."""
    wanted = [access for name in names for access in Access.repository(RepositoryName(name), Action.PULL, Action.PUSH)]
    with pytest.raises(Unauthorized) as caught:
        await GUARD.check(Visitor({}), wanted)
    scope = caught.value.challenge.header.partition('scope="')[2].rstrip('"')
    granted = [tuple(part.removeprefix("repository:").rsplit(":", 1)) for part in scope.split(" ")]
    token = mint(claims(*granted), KEY)  # type: ignore[arg-type] # pairs
    assert await opened(f"Bearer {token}", *wanted)
