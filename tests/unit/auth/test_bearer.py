"""The guard of tokens: what it remembers and for how long, and what it tells whom it sends away."""

import gc
import time
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from moorage.auth import bearer
from moorage.auth.access import Access, Action
from moorage.auth.bearer import Realm, TokenGuard
from moorage.auth.keys import TrustedKeys
from moorage.auth.tokens import LEEWAY_S, Verified, Verifier, mint
from moorage.errors import Unauthorized
from moorage.oci.names import RepositoryName
from support.tokens import ISSUER, REALM, SERVICE, Issuer, Visitor, certificate, claims, rsa_key

PULL = Access.repository(RepositoryName("group/app"), Action.PULL)
PUSH = Access.repository(RepositoryName("group/app"), Action.PULL, Action.PUSH)


class Counting(Verifier):
    """Counts how often a signature is verified."""

    count = 0

    def verify(self, token: str, keys: TrustedKeys, *, now: float) -> Verified:
        self.count += 1
        return super().verify(token, keys, now=now)


class World:
    """A guard, its clock, and whom it trusts."""

    def __init__(self, folder: Path, realm: Realm | None = None) -> None:
        self.issuer = Issuer(folder)
        self.keys = TrustedKeys([self.issuer.certificate])
        self.now = time.time()
        self.elapsed = 0.0
        self.verifier = Counting(issuer=ISSUER, service=SERVICE)
        self.guard = TokenGuard(
            self.verifier,
            lambda: self.keys,
            realm or Realm(url=REALM),
            now=lambda: self.now,
            monotonic=lambda: self.elapsed,
        )

    async def refusal(self, headers: dict[str, str], wanted: tuple[Access, ...] = PULL) -> str:
        with pytest.raises(Unauthorized) as caught:
            await self.guard.check(Visitor(headers), wanted)
        return caught.value.message


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_token_is_verified_once(world: World) -> None:
    headers = world.issuer.bearer(("group/app", "pull,push"))
    first = await world.guard.check(Visitor(headers), PULL)
    for wanted in (PULL, PUSH, ()):
        assert await world.guard.check(Visitor(headers), wanted) is first
    assert world.verifier.count == 1


async def test_what_is_remembered_of_one_token_opens_nothing_for_another(world: World) -> None:
    good = world.issuer.bearer(("group/app", "pull"))["Authorization"]
    await world.guard.check(Visitor({"Authorization": good}), PULL)
    for other in (good[:-1], good[:-4], f"{good}A", f"{good} ", good.replace("Bearer ", "Bearer  "), good.swapcase()):
        try:
            await world.guard.check(Visitor({"Authorization": other}), PULL)
        except Unauthorized:
            continue
        assert other.split() == good.split()  # The same token after all.
    assert world.verifier.count > 3


async def test_a_remembered_token_ends_when_it_expires(world: World) -> None:
    headers = world.issuer.bearer(("group/app", "pull"), lifetime_s=100)
    await world.guard.check(Visitor(headers), PULL)
    world.now += 100 + LEEWAY_S - 2
    await world.guard.check(Visitor(headers), PULL)
    assert world.verifier.count == 1
    world.now += 4
    assert "the token has expired" in await world.refusal(headers)


async def test_a_remembered_token_is_refused_when_the_clock_is_put_back_to_before_it(world: World) -> None:
    headers = world.issuer.bearer(("group/app", "pull"), lifetime_s=100)
    await world.guard.check(Visitor(headers), PULL)
    world.now -= 3600
    assert "the token is not valid yet" in await world.refusal(headers)


async def test_a_remembered_token_is_refused_when_the_clock_is_put_back_to_before_its_certificate(world: World) -> None:
    world.keys = TrustedKeys([certificate(world.issuer.key, begins=timedelta(days=-1))])
    headers = world.issuer.bearer(("group/app", "pull"), nbf=None)
    await world.guard.check(Visitor(headers), PULL)
    world.now -= 2 * 86400
    assert "is not valid before" in await world.refusal(headers)


async def test_a_token_is_not_remembered_for_longer_than_it_was_good_for_though_the_clock_stands(world: World) -> None:
    headers = world.issuer.bearer(("group/app", "pull"), lifetime_s=100)
    await world.guard.check(Visitor(headers), PULL)
    world.elapsed += 100 + LEEWAY_S - 2
    await world.guard.check(Visitor(headers), PULL)
    assert world.verifier.count == 1
    world.elapsed += 4
    await world.guard.check(Visitor(headers), PULL)
    assert world.verifier.count == 2


async def test_a_remembered_token_ends_with_its_certificate(world: World) -> None:
    brief = certificate(world.issuer.key, ends=timedelta(seconds=50))
    world.keys = TrustedKeys([brief])
    headers = world.issuer.bearer(("group/app", "pull"), lifetime_s=1000)
    await world.guard.check(Visitor(headers), PULL)
    world.now += 60
    assert "the certificate of the key that signed the token has expired" in await world.refusal(headers)


async def test_a_remembered_token_ends_when_its_key_is_taken_back(world: World) -> None:
    headers = world.issuer.bearer(("group/app", "pull"))
    await world.guard.check(Visitor(headers), PULL)
    world.keys = TrustedKeys([certificate(rsa_key("new"))])
    assert "untrusted key" in await world.refusal(headers)
    world.keys = TrustedKeys([world.issuer.certificate, certificate(rsa_key("new"))])
    await world.guard.check(Visitor(headers), PULL)


async def test_tokens_take_no_more_memory_than_they_may(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_bytes, count = 512 << 10, 500
    monkeypatch.setattr(bearer, "LIMIT_BYTES", limit_bytes)
    guard = TokenGuard(world.verifier, lambda: world.keys, Realm(url=REALM))
    tokens = [
        world.issuer.bearer(("group/app", "pull,push"), jti=f"{number}", user="u" * 300) for number in range(count)
    ]
    await guard.check(Visitor(tokens[0]), PUSH)
    gc.collect()
    tracemalloc.start()
    try:
        for token in tokens:
            await guard.check(Visitor(token), PUSH)
        gc.collect()
        gc.collect()  # What is in cycles goes when the collector comes by.
        held_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 100 < len(guard._remembered) < count
    assert held_bytes < 1.2 * limit_bytes
    before = world.verifier.count
    await guard.check(Visitor(tokens[-1]), PUSH)
    assert world.verifier.count == before
    await guard.check(Visitor(tokens[0]), PUSH)
    assert world.verifier.count == before + 1


async def test_the_text_of_a_password_is_kept_nowhere(world: World) -> None:
    await world.refusal({"Authorization": "Basic dXNlcjpwYXNzd29yZA=="})
    assert world.guard._digest.cache_info().currsize == 0


async def test_a_long_token_is_verified_each_time(world: World) -> None:
    headers = world.issuer.bearer(("group/app", "pull"), user="x" * 5000)
    for _ in range(3):
        await world.guard.check(Visitor(headers), PULL)
    assert world.verifier.count == 3
    assert not world.guard._remembered


async def test_a_refused_token_is_not_remembered(world: World) -> None:
    for number in range(20):
        await world.refusal({"Authorization": f"Bearer {number}.b.c"})
        await world.refusal(world.issuer.bearer(iss=str(number)))
    assert not world.guard._remembered


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_read_without_case(world: World, scheme: str) -> None:
    token = world.issuer.token(("group/app", "pull"))
    assert await world.guard.check(Visitor({"Authorization": f"{scheme} {token}"}), PULL)


async def test_what_lacks_is_named(world: World) -> None:
    headers = world.issuer.bearer(("group/app", "pull"))
    wanted = (*PUSH, *Access.repository(RepositoryName("other"), Action.DELETE))
    said = await world.refusal(headers, wanted)
    assert said == "the token does not allow push on repository group/app, delete on repository other"


async def test_the_issuer_s_reason_and_nothing_else_is_for_people_to_see(world: World) -> None:
    for denied, warning in ((None, ""), ('push on x: no "team" \\ é', "not granted: push on x: no 'team' ' '")):
        headers = world.issuer.bearer(("group/app", "pull"), denied=denied)
        with pytest.raises(Unauthorized) as caught:
            await world.guard.check(Visitor(headers), PUSH)
        assert caught.value.challenge.warning == warning


async def test_the_issuer_s_reason_is_told_in_few_words(world: World) -> None:
    reason = "push on group/app: the role of this user in the project is reporter, and push needs developer"
    said = await world.refusal(world.issuer.bearer(("group/app", "pull"), denied=reason), PUSH)
    assert said == f"the token does not allow push on repository group/app; not granted: {reason}"
    assert len(await world.refusal(world.issuer.bearer(("group/app", "pull"), denied="x" * 9000), PUSH)) < 500


async def test_no_log_line_holds_a_token(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    strangers = mint(claims(("group/app", "pull")), Issuer(world.issuer.bundle.parent, key=rsa_key("stranger")).signing)
    for token in (strangers, "a.b.c", world.issuer.token(iss="x"), f"{world.issuer.token()}x"):
        await world.refusal({"Authorization": f"Bearer {token}"})
        written = capsys.readouterr().err
        assert "token refused" in written
        assert all(part not in written for part in token.split(".") if len(part) > 5)


HostOf = Callable[[dict[str, str]], str]


@pytest.mark.parametrize(
    ("realm", "headers", "url"),
    [
        (Realm(url=REALM), {"Host": "registry.example"}, REALM),
        (Realm(url=REALM, path="/auth/token"), {"Host": "registry.example"}, "https://registry.example/auth/token"),
        (Realm(url=REALM, path="/t"), {"Host": "registry.example:5000"}, "https://registry.example:5000/t"),
        (Realm(url=REALM, path="/t"), {"Host": "r", "X-Forwarded-Proto": "http"}, "http://r/t"),
        (Realm(url=REALM, path="/t"), {"Host": "r", "X-Forwarded-Proto": "HTTPS, http"}, "https://r/t"),
        (Realm(url=REALM, path="/t"), {"Host": "r", "X-Forwarded-Proto": "javascript"}, "https://r/t"),
        (Realm(url=REALM, path="/t"), {}, REALM),
    ],
)
async def test_a_realm_can_be_on_the_host_that_was_asked(
    tmp_path: Path, realm: Realm, headers: dict[str, str], url: str
) -> None:
    with pytest.raises(Unauthorized) as caught:
        await World(tmp_path, realm).guard.check(Visitor(headers), PULL)
    assert f'realm="{url}"' in caught.value.challenge.header
