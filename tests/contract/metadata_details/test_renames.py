"""Renaming: the repository and all below it at once, or nothing."""

import asyncio
import json

import pytest

from contract.metadata.pushing import push
from contract.metadata.stores import sql_store
from contract.metadata_details.rows import Rows
from moorage.errors import NameInvalid, NameUnknown
from moorage.gitlab_errors import RenameConflict, TooManyRepositories
from moorage.metadata.base import Cause
from moorage.metadata.sql.renames import SqlRenames
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database
from support.images import artifact

CAUSE = Cause("ada", "request-1", "moved house")
OLD, NEW = RepositoryName("group/old"), RepositoryName("group/new")


@pytest.fixture
def renames(database: Database) -> SqlRenames:
    return SqlRenames(database)


async def rename(renames: SqlRenames, old: str = "group/old", new: str = "group/new", limit: int = 1000) -> int:
    return await renames.rename(RepositoryName(old), RepositoryName(new), limit=limit, cause=CAUSE)


async def test_a_repository_and_all_below_it_have_their_new_names_and_nothing_else_has(
    rows: Rows, renames: SqlRenames
) -> None:
    inside = {await rows.repository(path): path for path in ("group/old", "group/old/a", "group/old/a/group/old")}
    beside = {await rows.repository(path): path for path in ("group/old-x", "group/old.x", "group/old0", "group/ol")}
    assert await rename(renames) == 3
    moved = {key: f"group/new{path[len('group/old') :]}" for key, path in inside.items()}
    assert await rows.paths() == moved | beside


async def test_what_a_repository_has_stays_with_it(rows: Rows, renames: SqlRenames) -> None:
    old = await rows.repository("group/old")
    await rows.tag(old, "latest", await rows.manifest(old, "1"))
    await rename(renames)
    found = await rows.all("SELECT r.path, t.name FROM repositories r JOIN tags t ON t.repository_id = r.id")
    assert found == [("group/new", "latest")]


async def test_a_path_that_is_no_repository_takes_those_below_along(rows: Rows, renames: SqlRenames) -> None:
    below = await rows.repository("group/old/a")
    assert await rename(renames) == 1
    assert await rows.paths() == {below: "group/new/a"}


async def test_the_journal_says_which_repository_was_renamed_and_why(rows: Rows, renames: SqlRenames) -> None:
    old, below = await rows.repository("group/old"), await rows.repository("group/old/a")
    await rename(renames)
    text = "SELECT repository_id, action, repository, detail, actor, request_id, reason FROM journal ORDER BY id"
    common = ("ada", "request-1", "moved house")
    assert await rows.all(text) == [
        (old, "repository_rename", "group/old", json.dumps({"from": "group/old", "to": "group/new"}), *common),
        (below, "repository_rename", "group/old/a", json.dumps({"from": "group/old/a", "to": "group/new/a"}), *common),
    ]


async def test_a_rename_is_an_update(rows: Rows, renames: SqlRenames) -> None:
    await rows.repository("group/old")
    await rename(renames)
    assert await rows.all("SELECT path FROM repositories WHERE updated_at > created_at") == [("group/new",)]


async def test_a_top_level_repository_takes_its_namespace_along(rows: Rows, renames: SqlRenames) -> None:
    await rows.repository("old")
    await rows.repository("old/below")
    await rename(renames, "old", "young")
    text = "SELECT r.path, n.name FROM repositories r JOIN top_level_namespaces n ON n.id = r.top_level_namespace_id"
    assert sorted(await rows.all(text)) == [("young", "young"), ("young/below", "young")]


@pytest.mark.parametrize("target", ["group/old/deeper", "group/shallow", "group/a/b/c"])
async def test_a_repository_can_move_anywhere_in_its_namespace(rows: Rows, renames: SqlRenames, target: str) -> None:
    old, below = await rows.repository("group/old"), await rows.repository("group/old/x")
    await rename(renames, new=target)
    assert await rows.paths() == {old: target, below: f"{target}/x"}


@pytest.mark.parametrize("taken", ["group/new", "group/new/a/b", "group/old"])
async def test_a_name_that_is_taken_or_has_something_below_is_refused(
    rows: Rows, renames: SqlRenames, taken: str
) -> None:
    await rows.repository("group/old")
    if taken != "group/old":
        await rows.repository(taken)
    before = await rows.paths()
    target = RepositoryName("group/old") if taken == "group/old" else NEW
    with pytest.raises(RenameConflict):
        await renames.check(OLD, target, limit=9)
    with pytest.raises(RenameConflict):
        await renames.rename(OLD, target, limit=9, cause=CAUSE)
    assert await rows.paths() == before
    assert await rows.all("SELECT id FROM journal") == []


@pytest.mark.parametrize("beside", ["group/new-x", "group/new.x/y", "group/new0"])
async def test_a_name_with_neighbours_is_free(rows: Rows, renames: SqlRenames, beside: str) -> None:
    await rows.repository("group/old")
    await rows.repository(beside)
    await renames.check(OLD, NEW, limit=9)
    assert await rename(renames) == 1


async def test_what_is_not_there_cannot_be_renamed(rows: Rows, renames: SqlRenames) -> None:
    with pytest.raises(NameUnknown) as raised:
        await rename(renames)
    assert raised.value.detail == {"namespace": "group"}
    await rows.repository("group/other")
    with pytest.raises(NameUnknown) as raised:
        await rename(renames)
    assert raised.value.detail == {"name": "group/old"}


async def test_more_repositories_than_the_limit_are_refused(rows: Rows, renames: SqlRenames) -> None:
    for path in ("group/old", "group/old/a", "group/old/b"):
        await rows.repository(path)
    with pytest.raises(TooManyRepositories):
        await rename(renames, limit=2)
    assert await rename(renames, limit=3) == 3


async def test_a_name_below_that_would_be_too_long_is_refused(rows: Rows, renames: SqlRenames) -> None:
    await rows.repository("group/old")
    await rows.repository(f"group/old/{'x' * 240}")
    with pytest.raises(NameInvalid):
        await rename(renames, new="group/longer-name")
    assert await rename(renames, new="group/names") == 2


async def test_a_check_changes_nothing(rows: Rows, renames: SqlRenames) -> None:
    old = await rows.repository("group/old")
    await renames.check(OLD, NEW, limit=9)
    assert await rows.paths() == {old: "group/old"}
    assert await rows.all("SELECT id FROM journal") == []


async def test_of_two_who_want_the_same_name_one_gets_it(rows: Rows, renames: SqlRenames, other: Database) -> None:
    first, second = await rows.repository("group/a"), await rows.repository("group/b")
    tries = (rename(renames, "group/a"), rename(SqlRenames(other), "group/b"))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(str(type(outcome).__name__) for outcome in outcomes) == ["RenameConflict", "int"]
    assert sorted((await rows.paths()).values()) in (["group/a", "group/new"], ["group/b", "group/new"])
    assert set(await rows.paths()) == {first, second}


async def test_two_renames_that_overlap_come_one_after_the_other(
    rows: Rows, renames: SqlRenames, other: Database
) -> None:
    ids = [await rows.repository(path) for path in ("group/a", "group/a/b", "group/a/b/c")]
    tries = (rename(renames, "group/a", "group/x"), rename(SqlRenames(other), "group/a/b", "group/y"))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    paths = await rows.paths()
    found = [paths[identity] for identity in ids]
    # The second of them finds nothing at the old name, or takes what the first has left.
    assert found in (["group/x", "group/x/b", "group/x/b/c"], ["group/x", "group/y", "group/y/c"])
    assert [type(outcome) for outcome in outcomes if not isinstance(outcome, int)] in ([], [NameUnknown])


async def test_no_push_is_lost_while_names_change(rows: Rows, renames: SqlRenames, other: Database) -> None:
    store = sql_store(other)
    old = await rows.repository("group/old")
    names = [f"t{number}" for number in range(30)]

    async def push_all() -> None:
        for tag in names:
            await push(store, artifact(tag, None, artifact_type="a/thing").manifest, tag, name=OLD)

    async def rename_twice() -> None:
        for source, target in (("group/old", "group/new"), ("group/new", "group/newer")):
            await asyncio.sleep(0.02)
            await rename(renames, source, target)

    await asyncio.gather(push_all(), rename_twice())
    assert (await rows.paths())[old] == "group/newer"
    text = "SELECT r.path, t.name FROM repositories r JOIN tags t ON t.repository_id = r.id"
    found = await rows.all(text)
    assert sorted(name for _, name in found) == sorted(names)
    assert {path for path, _ in found} <= {"group/newer", "group/old"}
