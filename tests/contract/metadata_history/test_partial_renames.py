"""A rename of several repositories of which not all can be taken back: what goes back, what stays, what is told."""

import pytest

from contract.metadata.pushing import NAME
from contract.metadata.stores import query
from contract.metadata_history.past import Past, conflicts_of
from moorage.moorage_errors import AlreadyUndone, UndoConflict
from moorage.oci.names import RepositoryName

BELOW = ("", "/a", "/b", "/c")


def named(base: str, *endings: str) -> list[str]:
    return [f"{base}{ending}" for ending in endings]


async def paths(past: Past) -> list[str]:
    return [row[0] for row in await past.store.database.all(query("SELECT path FROM repositories ORDER BY path"))]


@pytest.fixture(name="renamed")
async def _renamed(past: Past) -> Past:
    """``group/app`` with three below it is called ``team/app``; others have pushed to ``group/app/a`` since."""
    for ending in BELOW:
        await past.push(f"of {ending}", "1", name=RepositoryName(f"{NAME}{ending}"))
    await past.rename(NAME.text, "team/app", "rename")
    await past.push("others", "1", name=RepositoryName(f"{NAME}/a"))
    return past


async def test_all_that_is_free_goes_back_and_the_rest_is_named_with_what_is_in_its_way(renamed: Past) -> None:
    with pytest.raises(UndoConflict) as whole:
        await renamed.undo("rename")
    tried = await renamed.undo("rename", partial=True, dry_run=True)
    assert await paths(renamed) == sorted([*named("team/app", *BELOW), "group/app/a"])
    done = await renamed.undo("rename", by="first", partial=True)
    # What others have below the old name of the first is in its way too: it would be among its own.
    assert await paths(renamed) == sorted([*named("group/app", "/a", "/b", "/c"), *named("team/app", "", "/a")])
    assert (tried.changes, tried.left) == (done.changes, done.left)
    assert (done.counts["repository"], done.left_count) == (2, 2)
    assert {(one.repository, one.message) for one in done.left} == {
        (name, "another repository is called group/app/a now") for name in named("team/app", "", "/a")
    }
    assert conflicts_of(whole.value) == [one.to_json() for one in done.left]


async def test_a_second_undo_does_what_the_first_one_left_and_no_more(renamed: Past) -> None:
    await renamed.undo("rename", by="first", partial=True)
    with pytest.raises(UndoConflict) as again:
        await renamed.undo("rename", by="again", partial=True)
    assert again.value.detail["count"] == 2
    await renamed.rename("group/app/a", "others/app", "moved away")
    second = await renamed.undo("rename", by="second")
    assert (second.counts["repository"], second.already) == (2, 2)
    assert await paths(renamed) == [*named("group/app", *BELOW), "others/app"]
    with pytest.raises(AlreadyUndone):
        await renamed.undo("rename")


async def test_each_of_the_undos_can_be_taken_back_alone(renamed: Past) -> None:
    await renamed.undo("rename", by="first", partial=True)
    await renamed.rename("group/app/a", "others/app", "moved away")
    await renamed.undo("rename", by="second", partial=True)
    assert (await renamed.undo("second", by="third")).counts["repository"] == 2
    assert await paths(renamed) == sorted([*named("team/app", "", "/a"), *named("group/app", "/b", "/c"), "others/app"])
    assert (await renamed.undo("first")).counts["repository"] == 2
    assert await paths(renamed) == sorted([*named("team/app", *BELOW), "others/app"])


async def test_what_was_renamed_once_more_stays_there(past: Past) -> None:
    for ending in BELOW:
        await past.push(f"of {ending}", "1", name=RepositoryName(f"{NAME}{ending}"))
    await past.rename(NAME.text, "team/app", "rename")
    await past.rename("team/app/b", "kit/b", "once more")
    done = await past.undo("rename", partial=True)
    assert await paths(past) == [*named("group/app", "", "/a", "/c"), "kit/b"]
    assert [(one.repository, one.message) for one in done.left] == [("kit/b", "its name is kit/b now")]
