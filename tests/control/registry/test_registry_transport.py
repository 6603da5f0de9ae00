"""Requests and answers of the registry's client: rude servers, redirects, deadlines, kinds of errors, and tokens."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import pytest

from moorage.auth.claims import AccessClaim
from moorage.auth.tokens import mint
from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.registry_errors import (
    RegistryError,
    RegistryForbids,
    RegistryNonsense,
    RegistryRefused,
    RegistryUnreachable,
    TooManyPages,
)
from moorage.control.registry.registry_values import RenameAnswer
from moorage.control.registry.transport import ANSWER_LIMIT_BYTES, RegistryTransport
from moorage.oci.digests import Digest
from support.daemon import Daemon
from support.images import image, push_image
from support.registry_client import RegistryClient
from support.rude_server import RudeServer, Said
from support.tokens import Issuer, claims

T = TypeVar("T")

PLAIN = Said(headers={"Docker-Distribution-Api-Version": "registry/2.0"})
_GITLAB = "Gitlab-Container-Registry"
GITLAB = Said(headers={f"{_GITLAB}-Version": "4.32.0", f"{_GITLAB}-Features": "tag_delete"})
ABSENT = Said(404)
THERE = Said(body=b"{}")
BLOB = b'{"created": "2026-01-02T03:04:05.678901234Z"}'
BLOB_DIGEST = str(Digest.of(BLOB))


def token_for(access: Sequence[AccessClaim]) -> str:
    return "+".join(f"{claim.name}:{','.join(claim.actions or ())}" for claim in access) or "nothing"


async def ask(server: RudeServer, question: Callable[[ControlRegistry], T], *, deadline_s: float = 60.0) -> T:
    """Ask in a thread, as the server answers in this one."""
    transport = RegistryTransport(server.url, token_for, deadline_s=deadline_s)
    try:
        return await asyncio.to_thread(question, ControlRegistry(transport))
    finally:
        transport.close()


def refusal(status: int, code: str = "") -> Said:
    return Said(status, json.dumps({"errors": [{"code": code, "message": "m", "detail": {}}]}).encode())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RegistryRefused),
        (401, RegistryForbids),
        (403, RegistryForbids),
        (503, RegistryRefused),
    ],
)
async def test_an_error_says_its_status_and_code(status: int, kind: type[RegistryRefused]) -> None:
    async with RudeServer([PLAIN, ABSENT, refusal(status, "WORD")]) as server:
        with pytest.raises(kind, match=f"the registry answered {status} WORD: m") as raised:
            await ask(server, lambda registry: registry.tag("g/p", "1"))
    assert (raised.value.status, raised.value.code) == (status, "WORD")


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b'{"errors": []}', b'{"errors": ["x"]}', b"[" * 100_000])
async def test_an_error_in_no_form_is_an_error_by_its_status(body: bytes) -> None:
    async with RudeServer([PLAIN, ABSENT, Said(500, body)]) as server:
        with pytest.raises(RegistryRefused, match=r"the registry answered 500$"):
            await ask(server, lambda registry: registry.tag("g/p", "1"))


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b'"text"', b"[" * 100_000])
async def test_an_answer_in_no_form_is_nonsense(body: bytes) -> None:
    async with RudeServer([GITLAB, THERE, Said(body=body)]) as server:
        with pytest.raises(RegistryNonsense):
            await ask(server, lambda registry: registry.tag("g/p", "1"))


async def test_an_answer_that_does_not_end_is_given_up() -> None:
    for last in (Said(is_silent=True), Said(body=b"x" * 100, cut_at=50, is_hung=True)):
        async with RudeServer([last]) as server:
            with pytest.raises(RegistryUnreachable, match="does not answer"):
                await ask(server, lambda registry: registry.info(), deadline_s=0.2)


async def test_an_answer_that_is_cut_is_an_error() -> None:
    async with RudeServer([Said(body=b"x" * 100, cut_at=50)]) as server:
        with pytest.raises(RegistryUnreachable):
            await ask(server, lambda registry: registry.info())


async def test_an_answer_is_read_to_a_limit() -> None:
    async with RudeServer([Said(body=b" " * (ANSWER_LIMIT_BYTES + 1))]) as server:
        with pytest.raises(RegistryNonsense, match="larger than"):
            await ask(server, lambda registry: registry.tag_names("g/p"))


async def test_a_redirect_of_a_blob_is_followed_without_the_token() -> None:
    async with RudeServer([Said(body=BLOB)]) as store, RudeServer() as server:
        server.answers = [Said(307, headers={"Location": f"{store.url}/there?signed=1"})]
        assert await ask(server, lambda registry: registry.blob("g/p", BLOB_DIGEST)) == BLOB
    assert server.asked[0].headers["authorization"] == "Bearer g/p:pull"
    assert store.asked[0].target == "/there?signed=1"
    assert "authorization" not in store.asked[0].headers


async def test_redirects_end_and_lead_to_http_only() -> None:
    async with RudeServer([Said(302, headers={"Location": "/v2/again"})]) as server:
        with pytest.raises(RegistryRefused, match="answered 302"):
            await ask(server, lambda registry: registry.blob("g/p", BLOB_DIGEST))
        assert len(server.asked) == 4
    last = Said(302, headers={"Location": "file:///"})
    for location in ("file:///etc/passwd", "ftp://127.0.0.1/", "http://[", ""):
        async with RudeServer([Said(302, headers={"Location": location}), last]) as server:
            with pytest.raises(RegistryError):
                await ask(server, lambda registry: registry.blob("g/p", BLOB_DIGEST))


async def test_what_is_not_what_its_digest_says_is_not_believed() -> None:
    async with RudeServer([Said(body=b"something else")]) as server:
        with pytest.raises(RegistryNonsense, match="not what its digest says"):
            await ask(server, lambda registry: registry.blob("g/p", BLOB_DIGEST))
        with pytest.raises(RegistryNonsense, match="not what its digest says"):
            await ask(server, lambda registry: registry.manifest("g/p", BLOB_DIGEST))


async def test_without_gitlab_s_api_the_image_says_when_it_was_built() -> None:
    manifest = json.dumps(
        {"config": {"digest": BLOB_DIGEST}, "layers": [{"size": 10}, {"size": 32}, {"size": "x"}, "odd"]}
    ).encode()
    async with RudeServer([PLAIN, ABSENT, Said(body=manifest), Said(body=BLOB)]) as server:
        found = await ask(server, lambda registry: registry.tag("g/p", "1"))
    assert found is not None
    assert (found.size_bytes, found.config_digest) == (42, BLOB_DIGEST)
    assert found.created_at is not None
    assert found.created_at.isoformat() == "2026-01-02T03:04:05.678901+00:00"


@pytest.mark.parametrize("payload", [b"[]", b"text", b'{"config": 1}', b'{"config": {"digest": "x"}, "layers": {}}'])
async def test_a_manifest_of_any_form_is_shown(payload: bytes) -> None:
    async with RudeServer([PLAIN, ABSENT, Said(body=payload)]) as server:
        found = await ask(server, lambda registry: registry.tag("g/p", "1"))
    assert found is not None
    assert (found.digest, found.created_at) == (str(Digest.of(payload)), None)


async def test_a_list_that_does_not_end_is_given_up() -> None:
    page = Said(body=b'{"tags": ["a"]}', headers={"Link": '</v2/g/p/tags/list?last=a&n=1>; rel="next"'})
    async with RudeServer([PLAIN, ABSENT, page]) as server:
        with pytest.raises(TooManyPages):
            await ask(server, lambda registry: list(registry.all_tags("g/p")))


async def test_a_list_of_no_tags_may_be_null() -> None:
    async with RudeServer([Said(body=b'{"name": "g/p", "tags": null}')]) as server:
        assert await ask(server, lambda registry: registry.tag_names("g/p")) == []


@pytest.mark.parametrize(("status", "has_api"), [(200, True), (401, True), (404, False), (405, False)])
async def test_gitlab_s_api_is_there_if_it_answers_or_asks_for_credentials(status: int, *, has_api: bool) -> None:
    async with RudeServer([GITLAB, Said(status)]) as server:
        found = await ask(server, lambda registry: registry.info())
    assert (found.vendor, found.version, found.features) == ("gitlab", "4.32.0", ("tag_delete",))
    assert found.has_gitlab_api is has_api


async def test_a_registry_in_trouble_is_not_taken_for_another() -> None:
    async with RudeServer([GITLAB, Said(503), GITLAB, THERE]) as server:
        transport = RegistryTransport(server.url, token_for)
        registry = ControlRegistry(transport)
        with pytest.raises(RegistryRefused):
            await asyncio.to_thread(registry.info)
        assert (await asyncio.to_thread(registry.info)).has_gitlab_api
        transport.close()


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (202, "accepted"),
        (204, "ok"),
        (400, "bad_request"),
        (401, "unauthorized"),
        (404, "not_found"),
        (409, "name_taken"),
        (422, "too_many_subrepositories"),
        (500, "error"),
        (799, "error"),
    ],
)
async def test_an_answer_to_a_rename_is_one_of_gitlab_s_words(status: int, answer: str) -> None:
    async with RudeServer([GITLAB, THERE, Said(status)]) as server:
        found = await ask(server, lambda registry: registry.rename("g/p", name="q", is_dry_run=True))
    assert found.answer == answer
    assert found.answer.is_good is (status < 300)
    assert bool(found.message) is (status >= 300)
    sent = server.asked[-1]
    assert (sent.method, sent.target) == ("PATCH", "/gitlab/v1/repositories/g/p/?dry_run=true")
    assert json.loads(sent.body) == {"name": "q"}
    assert sent.headers["authorization"] == "Bearer g/p:pull,push+g/p/*:pull,push"


async def test_a_move_may_push_below_the_new_namespace() -> None:
    async with RudeServer([GITLAB, THERE, Said(204)]) as server:
        await ask(server, lambda registry: registry.rename("g/p", namespace="g/sub"))
    assert json.loads(server.asked[-1].body) == {"namespace": "g/sub"}
    assert server.asked[-1].headers["authorization"] == "Bearer g/p:pull,push+g/p/*:pull,push+g/sub/*:push"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Issuer]]:
    """Moorage's daemon that asks for tokens, and who issues them."""
    folder = tmp_path_factory.mktemp("guarded")
    issuer = Issuer(folder)
    lines = [
        "version: 0.1",
        f"storage: {{filesystem: {{rootdirectory: '{folder / 'data'}'}}, delete: {{enabled: true}}}}",
        f"database: {{enabled: true, sqlite: '{folder / 'metadata.sqlite'}'}}",
        issuer.section,
    ]
    with Daemon(folder, config="\n".join(lines), has_folder=False) as daemon:
        yield daemon, issuer


def test_the_rights_that_each_call_asks_for_are_enough(guarded: tuple[Daemon, Issuer], repository: str) -> None:
    daemon, issuer = guarded
    with RegistryClient(daemon.address, headers=issuer.bearer((repository, "pull,push"))) as pusher:
        made = push_image(pusher, repository, "1", image(repository))

    def minted(access: Sequence[AccessClaim]) -> str:
        return mint(claims().model_copy(update={"access": list(access)}), issuer.signing)

    transport = RegistryTransport(daemon.url, minted)
    registry = ControlRegistry(transport)
    try:
        assert registry.info().has_gitlab_api
        shown = registry.repository(repository, size="self_with_descendants")
        assert shown is not None
        assert shown.size_bytes == 2000
        assert [tag.name for tag in registry.all_tags(repository)] == ["1"]
        assert [found.path for found in registry.all_repositories(repository)] == [repository]
        assert registry.manifest(repository, "1") is not None
        assert registry.blob(repository, made.blobs[0].digest) is not None
        assert registry.rename(repository, name="renamed", is_dry_run=True).answer is RenameAnswer.ACCEPTED
        assert registry.rename(repository, name="renamed").answer is RenameAnswer.DONE
        moved = f"{repository.rpartition('/')[0]}/renamed"
        assert registry.tag_names(moved) == ["1"]
        assert registry.delete_tag(moved, "1") is True
        assert registry.delete_manifest(moved, made.digest) is True
    finally:
        transport.close()


def test_a_token_that_is_not_accepted_is_an_error_of_its_kind(guarded: tuple[Daemon, Issuer]) -> None:
    transport = RegistryTransport(guarded[0].url, lambda _: "nonsense")
    try:
        with pytest.raises(RegistryForbids):
            ControlRegistry(transport).tag_names("g/p")
    finally:
        transport.close()
