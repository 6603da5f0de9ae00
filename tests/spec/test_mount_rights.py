"""Mounts and their source: what credentials do not open is not told, neither by an answer nor by the work it takes.

Source: distribution-spec § Mounting a blob from another repository (end-11); GitLab features V2B-005.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from moorage.auth.access import Access, Action, Grant
from moorage.auth.guards import Caller, Guard
from moorage.sql.base import NamedQuery, Row, Value
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from spec.expect import holds_for_every_response
from support import images
from support.in_process import InProcess
from support.registry_client import RegistryClient, Response
from support.tokens import Issuer

MINE, THEIRS = "group/mine", "group/theirs"
SECRET = images.image("theirs").blobs[0]
NEVER = images.missing_digest("mount")
PUSH = (MINE, "pull,push")


class World:
    def __init__(self, folder: Path, stack: ExitStack, *, has_database: bool) -> None:
        self._stack = stack
        self.issuer = Issuer(folder)
        self.registry = stack.enter_context(InProcess(folder if has_database else None, guard=self.issuer.guard()))
        self.client((THEIRS, "*")).push_blob(THEIRS, SECRET.body, SECRET.digest)

    def client(self, *access: tuple[str, str]) -> RegistryClient:
        headers = self.issuer.bearer(*access)
        client = RegistryClient(self.registry.address, headers=headers, observe=holds_for_every_response)
        return self._stack.enter_context(client)


@pytest.fixture(params=[True, False], ids=["database", "link files"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack, has_database=request.param)


def is_upload(response: Response) -> bool:
    assert "WWW-Authenticate" not in response.headers
    return response.status == 202 and "Docker-Upload-UUID" in response.headers


def test_with_the_right_to_the_source_a_blob_is_mounted(world: World) -> None:
    client = world.client(PUSH, (THEIRS, "pull"))
    assert client.mount_blob(MINE, SECRET.digest, THEIRS).status == 201
    assert client.get_blob(MINE, SECRET.digest).body == SECRET.body


@pytest.mark.parametrize("source", [THEIRS, "group/nothing", MINE, None])
@pytest.mark.parametrize("digest", [SECRET.digest, NEVER])
def test_without_it_the_mount_is_an_upload_whether_the_blob_is_there_or_not(
    world: World, digest: str, source: str | None
) -> None:
    client = world.client(PUSH, (f"{THEIRS}2", "*"), (THEIRS, "push,delete"))
    assert is_upload(client.mount_blob(MINE, digest, source))
    assert client.head_blob(MINE, digest).status == 404


UNUSABLE = ["Group/THEIRS", "host:5000/group/theirs", "a" * 300, "../theirs", "a//b", "a b", "%00", "\u00e9"]


@pytest.mark.parametrize("source", UNUSABLE)
def test_a_source_that_is_no_name_here_makes_it_an_upload(world: World, source: str) -> None:
    client = world.client(PUSH, (THEIRS, "pull"))
    started = client.mount_blob(MINE, SECRET.digest, source)
    assert is_upload(started)
    assert client.close_upload(started.location, SECRET.digest, SECRET.body).status == 201


@pytest.mark.parametrize(
    "digest", ["blake3:" + "0" * 64, "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:abc", "x", ""]
)
@pytest.mark.parametrize("source", [THEIRS, "", None])
def test_a_digest_that_no_blob_here_can_have_makes_it_an_upload(world: World, digest: str, source: str | None) -> None:
    assert is_upload(world.client(PUSH, (THEIRS, "pull")).mount_blob(MINE, digest, source))


def test_of_repeated_parameters_the_first_counts(world: World) -> None:
    client = world.client(PUSH, (THEIRS, "pull"))
    first = f"{client.url(MINE, 'blobs', 'uploads', '')}?mount={SECRET.digest}&mount=x&from={THEIRS}&from=NO"
    assert client.request("POST", first).status == 201
    last = f"{client.url(MINE, 'blobs', 'uploads', '')}?mount=x&mount={SECRET.digest}&from=NO&from={THEIRS}"
    assert is_upload(client.request("POST", last))


def test_what_is_in_the_repository_already_is_mounted_from_itself(world: World) -> None:
    client = world.client(PUSH)
    client.push_blob(MINE, SECRET.body, SECRET.digest)
    for source in (None, MINE):
        assert client.mount_blob(MINE, SECRET.digest, source).status == 201


def test_the_upload_that_became_of_a_mount_can_be_used(world: World) -> None:
    client = world.client(PUSH)
    started = client.mount_blob(MINE, SECRET.digest, THEIRS)
    assert client.close_upload(started.location, SECRET.digest, SECRET.body).status == 201


def test_who_sees_everything_may_mount_from_anywhere(tmp_path: Path) -> None:
    """As without authentication: with a password of a file, whoever knows it may pull from every repository."""

    class Known(Guard):
        async def check(self, caller: Caller, wanted: object, *, optional: object = ()) -> Grant:
            del caller, wanted, optional
            return Grant("ada", None)

        def require(self, caller: Caller, grant: Grant, wanted: object) -> None:
            grant.allows([Access("registry", caller.id, Action.PULL)] if wanted else [])

    with InProcess(tmp_path, guard=Known()) as registry, RegistryClient(registry.address) as client:
        client.push_blob(THEIRS, SECRET.body, SECRET.digest)
        assert client.mount_blob(MINE, SECRET.digest).status == 201


def test_it_takes_the_same_work_to_look_for_what_others_have_and_for_what_nobody_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted, not timed: the statements that reach the database for either."""
    statements: list[NamedQuery] = []
    first = SqliteDatabase.first

    async def counted(self: SqliteDatabase, query: NamedQuery, *args: Value, repository: str = "") -> Row | None:
        statements.append(query)
        return await first(self, query, *args, repository=repository)

    with ExitStack() as stack:
        world = World(tmp_path, stack, has_database=True)
        monkeypatch.setattr(SqliteDatabase, "first", counted)
        client, counts = world.client(PUSH), []
        for digest in (SECRET.digest, NEVER):
            for ask in (client.head_blob, client.get_blob, client.mount_blob, client.get_manifest):
                statements.clear()
                assert ask(MINE, digest).status in (202, 404)
                counts.append([*statements])
            statements.clear()
            assert is_upload(client.mount_blob(MINE, digest, THEIRS))
            counts.append([*statements])
        assert counts[:5] == counts[5:]
