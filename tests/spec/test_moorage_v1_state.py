"""``/moorage/v1/`` about the registry itself: its parts, its last check, and work that goes on beside requests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moorage.integrity.findings import Finding, FindingKind
from moorage.integrity.progress import new_state, written
from moorage.storage import paths
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from spec.expect import errors_of, holds_for_every_response
from support.in_process import InProcess
from support.registry_client import RegistryClient

NOW = 1_796_000_000_000_000


class Api(RegistryClient):
    """A client that asks a registry for its state."""

    def __init__(self, registry: InProcess) -> None:
        super().__init__(registry.address, observe=holds_for_every_response)
        self.registry = registry

    def ask(self, path: str) -> dict[str, Any]:
        response = self.request("GET", f"/moorage/v1/{path}")
        assert response.status == 200, response
        found: dict[str, Any] = response.json()
        return found

    def part(self, name: str) -> dict[str, Any]:
        parts: list[dict[str, Any]] = self.ask("status")["parts"]
        (found,) = [one for one in parts if one["name"] == name]
        return found


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with InProcess(tmp_path) as registry, Api(registry) as client:
        yield client


@pytest.fixture
def on_link_files() -> Iterator[Api]:
    with InProcess(None) as registry, Api(registry) as client:
        yield client


def test_each_part_of_a_sound_registry_is_good_or_off(api: Api) -> None:
    found = api.ask("status")
    assert (found["state"], found["metadata"], found["read_only"]) == ("good", "database", False)
    states = {one["name"]: one["state"] for one in found["parts"]}
    assert states == {"storage": "good", "database": "good", "integrity": "off"}
    assert api.part("database")["said"] == "sqlite"
    assert "moorage check" in api.part("integrity")["next_step"]


def test_a_registry_with_link_files_tells_of_itself_too_and_of_no_database(on_link_files: Api) -> None:
    found = on_link_files.ask("status")
    assert (found["state"], found["metadata"]) == ("good", "link files")
    assert on_link_files.part("database")["state"] == "off"
    assert on_link_files.ask("integrity") == {"state": "none", "last": None, "unfinished": None}
    for path in ("adoption", "background-migrations"):
        response = on_link_files.request("GET", f"/moorage/v1/{path}")
        assert response.status == 404
        assert "metadata database" in str(errors_of(response)[0]["message"])


def test_the_last_check_and_one_under_way_are_told_with_what_they_found(api: Api) -> None:
    state = new_state(store="database", verifies=True, repairs=True)
    state.phase, state.share = "blobs", 0.99999
    state.tally.blobs = 7
    for repair in ("", "marked"):
        kind = FindingKind.DIGEST_DIFFERS
        state.tally.add(Finding(kind=kind, subject="sha256:\udcff", size_bytes=5, repair=repair))
    api.registry.put(paths.CHECK, written(state))
    assert api.ask("integrity")["state"] == "unfinished"
    assert api.ask("integrity")["unfinished"]["share"] == 0.9999
    state.ended_at = state.started_at
    api.registry.put(paths.CHECKED, written(state))
    found = api.ask("integrity")["last"]
    (counted,) = found["differences"]
    assert (counted["kind"], counted["count"], counted["size_bytes"], counted["repaired"]) == (
        "digest-differs",
        2,
        10,
        1,
    )
    assert [one["repair"] for one in found["first"]] == ["", "marked"]
    assert found["first"][0]["subject"] == "sha256:\\udcff"
    assert (found["verified_digests"], found["repaired"], found["blobs"]) == (True, True, 7)
    part = api.part("integrity")
    assert (part["state"], part["said"]) == ("look", "differences that are not repaired: 1")
    assert api.ask("status")["state"] == "look"


def test_a_background_migration_is_told_with_how_far_it_is(api: Api) -> None:
    assert api.ask("background-migrations") == {"migrates": True, "migrations": []}
    api.registry.execute(
        "INSERT INTO batched_background_migrations "
        "(name, max_value, batch_size, status, job_signature_name, table_name, column_name) "
        "VALUES ('fill', 100, 10, 4, 'fill', 'blobs', 'id')"
    )
    (found,) = api.ask("background-migrations")["migrations"]
    assert (found["name"], found["status"], found["share"], found["failure"]) == ("fill", "running", 0.0, None)


def test_an_adoption_is_told_as_the_command_tells_it(api: Api) -> None:
    nothing = api.ask("adoption")
    assert (nothing["state"], nothing["repositories"], nothing["done_at"]) == ("none", None, None)
    api.registry.execute("INSERT INTO adoption_progress (id, began_at, repositories) VALUES (1, ?, 4)", NOW)
    found = api.ask("adoption")
    assert (found["state"], found["repositories"], found["taken"]) == ("taking", 4, 0)


def test_a_storage_that_is_gone_is_broken_since_then_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.http.node_status._FRESH_S", -1.0)
    folder = tmp_path / "data"
    with InProcess(tmp_path, storage=FilesystemDriver(folder)) as registry, Api(registry) as client:
        before = client.part("storage")
        assert (before["state"], before["said"], before["next_step"]) == ("good", "filesystem", "")
        folder.rename(tmp_path / "away")
        folder.write_text("no folder")
        assert client.ask("status")["state"] == "broken"
        part = client.part("storage")
        assert part["since"] > before["since"]
        assert "moorage doctor" in part["next_step"]
        assert client.part("database")["state"] == "good"


def test_what_is_asked_with_parameters_that_it_has_not_is_refused(api: Api) -> None:
    for path in ("status", "integrity", "adoption", "background-migrations"):
        assert api.request("GET", f"/moorage/v1/{path}?n=1").status == 400
