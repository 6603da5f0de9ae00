"""What a token has to allow for a request to be taken back: whatever the changes themselves would have asked for."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from moorage.auth.access import Access, Grant
from moorage.auth.claims import Meta
from moorage.auth.guards import Caller, OpenGuard
from spec.expect import errors_of
from support import images
from support.in_process import InProcess
from support.registry_client import RegistryClient, Response
from support.tokens import Access as Asked
from support.tokens import Issuer

SECRET, SANDBOX = "group/private/app", "group/sandbox/app"


class Moved:
    """A registry in which an administrator has moved a repository out of a namespace, in the request ``move``."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack = stack
        self._issuer = Issuer(folder)
        self._registry = stack.enter_context(InProcess(folder, guard=self._issuer.guard()))
        rights = ((SECRET, "*"), ("group/private/app/*", "pull"), ("group/sandbox/*", "push"))
        admin = self.client(*rights, meta={SECRET: Meta(project_path=SECRET)})
        images.push_image(admin, SECRET, "v1")
        moved = admin.request(
            "PATCH",
            f"/gitlab/v1/repositories/{SECRET}/",
            body=json.dumps({"namespace": "group/sandbox"}).encode(),
            headers={"X-Request-Id": "move"},
        )
        assert moved.status == 204, moved

    def client(self, *access: Asked, **said: object) -> RegistryClient:
        headers = self._issuer.bearer(*access, **said)
        return self._stack.enter_context(RegistryClient(self._registry.address, headers=headers))

    def undo(self, *access: Asked) -> Response:
        return self.client(*access).request(
            "POST",
            f"/moorage/v1/request/undo?id=move&repository={SANDBOX}",
            body=b"{}",
            headers={"Content-Type": "application/json"},
        )


@pytest.fixture
def moved(tmp_path: Path) -> Iterator[Moved]:
    with ExitStack() as stack:
        yield Moved(tmp_path, stack)


OWN: tuple[Asked, ...] = ((SANDBOX, "pull,push,delete"), (f"{SANDBOX}/*", "pull"))


@pytest.mark.parametrize(
    "more",
    [(), (("group/private/*", "push"),), ((SECRET, "pull,push"),), (("group/private/*", "pull"), (SECRET, "push"))],
)
def test_a_rename_is_not_taken_back_into_a_namespace_that_the_token_may_not_push_to(
    moved: Moved, more: tuple[Asked, ...]
) -> None:
    refused = moved.undo(*OWN, *more)
    assert refused.status == 401
    assert "repository:group/private/*:push" in refused.headers["WWW-Authenticate"]
    assert f"repository:{SECRET}:push" in refused.headers["WWW-Authenticate"]
    everything = moved.client((SECRET, "*"), (SANDBOX, "*"))
    assert everything.get_manifest(SECRET, "v1").status == 404
    assert everything.get_manifest(SANDBOX, "v1").status == 200


def test_a_rename_is_taken_back_by_whoever_might_have_made_it(moved: Moved) -> None:
    assert moved.undo(*OWN, ("group/private/*", "push"), (SECRET, "push")).status == 200
    assert moved.client((SECRET, "pull")).get_manifest(SECRET, "v1").status == 200


@pytest.mark.parametrize("sub", ["victim", None])
def test_nobody_gets_into_the_way_of_an_undo_by_using_the_same_id(tmp_path: Path, sub: str | None) -> None:
    issuer = Issuer(tmp_path)
    made = images.image("deployed")

    def client(name: str, repository: str) -> RegistryClient:
        headers = issuer.bearer((repository, "*"), sub=sub if name == "victim" else name)
        return stack.enter_context(RegistryClient(registry.address, headers=headers))

    def undo(by: RegistryClient, repository: str, body: bytes = b"{}") -> Response:
        target = f"/moorage/v1/request/undo?id=deploy-7&repository={repository}"
        return by.request("POST", target, body=body, headers={"Content-Type": "application/json"})

    with ExitStack() as stack:
        registry = stack.enter_context(InProcess(tmp_path, guard=issuer.guard()))
        places = {"victim": "group/victim", "stranger": "group/evil"}
        clients = {name: client(name, repository) for name, repository in places.items()}
        for name, repository in places.items():
            images.push_blobs(clients[name], repository, made.blobs)
            assert (
                clients[name]
                .put_manifest(
                    repository, "v1", made.manifest.body, made.manifest.media_type, headers={"X-Request-Id": "deploy-7"}
                )
                .status
                == 201
            )
        victim, repository = clients["victim"], places["victim"]
        assert json.loads(undo(victim, repository, b'{"dry_run": true}').body)["counts"]["tag"] == 1
        told = json.loads(victim.request("GET", f"/moorage/v1/request?id=deploy-7&repository={repository}").body)
        assert {entry["repository"] for entry in told["entries"]} == {repository}
        colleague = client("colleague", repository)
        everywhere = colleague.request(
            "POST", "/moorage/v1/request/undo?id=deploy-7", body=b"{}", headers={"Content-Type": "application/json"}
        )
        assert everywhere.status == 404, "it may not see all of it"
        assert json.loads(undo(colleague, repository, b'{"dry_run": true}').body)["counts"]["tag"] == 1
        assert undo(victim, repository).status == 200
        assert victim.get_manifest(repository, "v1").status == 404
        assert clients["stranger"].get_manifest(places["stranger"], "v1").status == 200


@pytest.mark.parametrize("with_tokens", [True, False])
def test_callers_without_a_name_take_back_their_own_where_each_names_its_repository(
    tmp_path: Path, *, with_tokens: bool
) -> None:
    issuer, made, changed = Issuer(tmp_path), images.image("first"), images.image("second")
    places = ("group/one", "group/two")
    json_body = {"Content-Type": "application/json"}
    with ExitStack() as stack:
        guard = issuer.guard() if with_tokens else None
        registry = stack.enter_context(InProcess(tmp_path, guard=guard))

        def client(repository: str) -> RegistryClient:
            headers = issuer.bearer((repository, "*"), sub=None) if with_tokens else {}
            return stack.enter_context(RegistryClient(registry.address, headers=headers))

        one, two = (client(repository) for repository in places)
        for caller, repository in ((one, places[0]), (two, places[1])):
            images.push_blobs(caller, repository, made.blobs)
            body, kind = made.manifest.body, made.manifest.media_type
            assert caller.put_manifest(repository, "v1", body, kind, headers={"X-Request-Id": "same"}).status == 201
        images.push_image(two, places[1], "v1", changed)  # In the way of an undo of both.
        target = "/moorage/v1/request/undo?id=same&repository="
        done = one.request("POST", target + places[0], body=b"{}", headers=json_body)
        assert done.status == 200, done.body
        assert {change["repository"] for change in json.loads(done.body)["changes"]} == {places[0]}
        assert one.get_manifest(places[0], "v1").status == 404
        assert two.get_manifest(places[1], "v1").body == changed.manifest.body
        if with_tokens:
            assert one.request("POST", target + places[1], body=b"{}", headers=json_body).status == 401


NAMELESS = pytest.mark.parametrize("who", ["tokens without a name", "no authentication"])


class Namesakes:
    """Callers who sent one id, each with a change in a repository."""

    def __init__(self, folder: Path, stack: ExitStack, *, has_tokens: bool) -> None:
        issuer = Issuer(folder)
        registry = stack.enter_context(InProcess(folder, guard=issuer.guard() if has_tokens else None))
        headers = issuer.bearer(("group/one", "*"), ("group/two", "*"), sub=None) if has_tokens else {}
        self.client = stack.enter_context(RegistryClient(registry.address, headers=headers))
        made = images.image("namesake")
        for repository in ("group/one", "group/two"):
            images.push_blobs(self.client, repository, made.blobs)
            pushed = self.client.put_manifest(
                repository, "v1", made.manifest.body, made.manifest.media_type, headers={"X-Request-Id": "build"}
            )
            assert pushed.status == 201

    def undo(self, query: str = "") -> Response:
        target = f"/moorage/v1/request/undo?id=build{query}"
        return self.client.request("POST", target, body=b"{}", headers={"Content-Type": "application/json"})

    def tagged(self) -> list[int]:
        return [self.client.get_manifest(repository, "v1").status for repository in ("group/one", "group/two")]


@NAMELESS
def test_an_id_that_several_without_a_name_have_used_takes_back_nobodys_but_the_named_repositorys(
    tmp_path: Path, who: str
) -> None:
    with ExitStack() as stack:
        both = Namesakes(tmp_path, stack, has_tokens=who.startswith("tokens"))
        refused = both.undo()
        assert (refused.status, errors_of(refused)[0]["code"]) == (409, "REQUEST_SHARED")
        assert "?repository=" in str(errors_of(refused)[0]["message"])
        assert both.tagged() == [200, 200]
        assert both.undo("&repository=group/two").status == 200
        assert both.tagged() == [200, 404]


class PasswordGuard(OpenGuard):
    """Everybody may do everything, by the name that they give: what ``auth.htpasswd`` comes to."""

    async def check(self, caller: Caller, wanted: Sequence[Access], *, optional: Sequence[Access] = ()) -> Grant:
        del wanted, optional
        return Grant(actor=caller.headers["Authorization"], accesses=None)


def test_who_has_a_password_takes_back_their_own(tmp_path: Path) -> None:
    made = images.image("own")
    with ExitStack() as stack:
        registry = stack.enter_context(InProcess(tmp_path, guard=PasswordGuard()))
        for name in ("ada", "bob"):
            client = stack.enter_context(RegistryClient(registry.address, headers={"Authorization": name}))
            images.push_blobs(client, "group/app", made.blobs)
            client.put_manifest(
                "group/app", name, made.manifest.body, made.manifest.media_type, headers={"X-Request-Id": "build"}
            )
        undone = client.request(
            "POST", "/moorage/v1/request/undo?id=build", body=b"{}", headers={"Content-Type": "application/json"}
        )
        assert undone.status == 200
        assert [client.get_manifest("group/app", name).status for name in ("ada", "bob")] == [200, 404]
