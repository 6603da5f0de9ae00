"""Pages about the registry itself: its parts, checks, migrations, adoption; and registries that do not tell."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import Client

from moorage.control import pages
from moorage.control.accounts.models import User
from moorage.control.pages.room_texts import said
from moorage.http import registry_parts
from moorage.integrity.findings import Finding, FindingKind
from moorage.integrity.progress import State, new_state, written
from moorage.storage import paths
from support.control_registry import registry_at
from support.daemon import Daemon
from support.in_process import InProcess
from support.page_texts import german_texts
from support.pages_inhabitants import inhabit
from support.peer import Peer

PAGES = ("/admin", "/admin/integrity", "/admin/migration")


@pytest.fixture
def people() -> dict[str, User]:
    return inhabit()


@pytest.fixture
def root(people: dict[str, User], client: Client) -> Client:
    client.force_login(people["root"])
    return client


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[InProcess]:
    """A registry behind the control plane."""
    with InProcess(tmp_path) as registry, registry_at(registry.url):
        yield registry


def text_of(client: Client, address: str, **headers: str) -> str:
    answer = client.get(address, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def check(*repairs: str) -> State:
    state = new_state(store="database", verifies=True)
    for repair in repairs:
        state.tally.add(Finding(kind=FindingKind.DIGEST_DIFFERS, subject="sha256:abc", size_bytes=5, repair=repair))
    state.phase, state.share, state.saved_at = "blobs", 0.42, datetime.now(UTC)
    return state


def test_only_administrators_see_the_registry_itself(people: dict[str, User], client: Client) -> None:
    for name in ("ada", "eve"):
        client.force_login(people[name])
        assert [client.get(address).status_code for address in PAGES] == [403, 403, 403]


def test_a_sound_registry_is_well_and_each_part_says_so(root: Client, behind: InProcess) -> None:
    del behind
    text = text_of(root, "/admin")
    for words in (
        "Storage",
        "Database",
        "sqlite",
        "no check has come to its end yet",
        "Work beside requests keeps up.",
    ):
        assert words in text, words
    assert "Everything works, and something wants somebody." in text  # Repositories of the people could not be deleted.
    assert "data-refresh" in text


def test_what_wants_somebody_comes_first_with_what_to_do_and_a_way_there(root: Client, behind: InProcess) -> None:
    state = check("", "marked")
    state.ended_at = state.started_at
    behind.put(paths.CHECKED, written(state))
    text = text_of(root, "/admin")
    assert "differences that are not repaired: 1" in text
    assert "Next: moorage check CONFIG --repair" in text
    assert text.index("differences that are not repaired: 1") < text.index("The parts")
    german = text_of(root, "/admin", **{"Accept-Language": "de"})
    assert "nicht behobene Abweichungen: 1" in german
    page = text_of(root, "/admin/integrity")
    assert "Differences that are not repaired: 1" in page
    assert "digest-differs" in page
    assert "data-refresh" not in page


def test_a_check_at_work_has_a_bar_and_one_that_fell_silent_says_how_it_goes_on(
    root: Client, behind: InProcess
) -> None:
    state = check()
    behind.put(paths.CHECK, written(state))
    text = text_of(root, "/admin/integrity")
    assert "A check is at work." in text
    assert '<progress max="1" value="0.42"' in text
    assert 'data-refresh="5"' in text
    state.saved_at = datetime(2026, 1, 1, tzinfo=UTC)
    behind.put(paths.CHECK, written(state))
    text = text_of(root, "/admin/integrity")
    assert "goes on from there" in text
    assert 'data-refresh="15"' in text


def test_adoption_and_background_migrations_have_bars_that_move_until_they_end(root: Client, behind: InProcess) -> None:
    assert "There are none: the data is as this version wants it." in text_of(root, "/admin/migration")
    began = int(datetime(2026, 11, 29, tzinfo=UTC).timestamp() * 1_000_000)
    behind.execute("INSERT INTO adoption_progress (id, began_at, repositories) VALUES (1, ?, 4)", began)
    left = '[["manifest", "/docker/x", "its payload is damaged"]]'
    behind.execute(
        "INSERT INTO adoptions (path, state, holder, held_until, left_out, first_left_out) "
        "VALUES ('group/app', 'taken', '', 0, 1, ?)",
        left,
    )
    behind.execute(
        "INSERT INTO batched_background_migrations "
        "(name, max_value, batch_size, status, job_signature_name, table_name, column_name) "
        "VALUES ('fill_sizes', 100, 10, 0, 'fill', 'blobs', 'id')"
    )
    text = text_of(root, "/admin/migration")
    assert '<progress max="4" value="1"' in text
    assert "Repositories taken over: 1 of 4" in text
    assert "paused" in text
    assert 'data-refresh="5"' in text
    behind.execute("UPDATE adoption_progress SET ended_at = ?, accepted_at = ?", began, began)
    text = text_of(root, "/admin/migration")
    assert "Everything is in the database." in text
    assert "data-refresh" not in text


def test_a_registry_with_link_files_has_checks_and_nothing_to_migrate(root: Client) -> None:
    with InProcess(None) as registry, registry_at(registry.url):
        assert "the metadata is in link files" in text_of(root, "/admin")
        assert "No check has come to its end yet." in text_of(root, "/admin/integrity")
        assert "there is nothing to migrate" in text_of(root, "/admin/migration")


def test_a_registry_that_is_not_moorages_own_is_said_to_tell_nothing(root: Client, tmp_path: Path) -> None:
    with Peer(tmp_path, tmp_path / "data") as distribution, registry_at(distribution.url):
        for address in PAGES:
            assert "does not tell of itself" in text_of(root, address)


def test_a_registry_that_is_away_is_said_to_be_with_what_it_said_last(root: Client, tmp_path: Path) -> None:
    with ExitStack() as kept:
        with Daemon(tmp_path) as daemon:
            kept.enter_context(registry_at(daemon.url))
            assert "sqlite" in text_of(root, "/admin")
        text = text_of(root, "/admin")
        assert "The registry does not answer." in text
        assert "No: something does not work." in text
        assert "Below is what it last said of itself:" in text
        assert "sqlite" in text
        for address in PAGES[1:]:
            assert "The registry does not answer." in text_of(root, address)


def test_every_step_that_a_registry_advises_is_there_in_german() -> None:
    steps = [value for name, value in vars(registry_parts).items() if name[:2] != "__" and isinstance(value, str)]
    steps += [kind.meaning for kind in FindingKind]
    steps = [step for step in steps if " " in step]
    assert len(steps) > 20
    known = german_texts(Path(pages.__path__[0]))
    assert [step for step in steps if not known.get(step)] == []
    assert said("differences that are not repaired: 7") == "differences that are not repaired: 7"
