"""The doctor and a folder of this machine: what it says of one that is good, and of each fault."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moorage.cli.app import app
from moorage.doctor.diagnosis import Grade, Report
from moorage.wiring.databases import half_of, opened_database
from support.authority import Authority
from support.other_user import as_other_user, folder_for_all
from unit.doctor.running import by_check, configuration, examined, failures, whole


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """A folder on another file system than the tests' own."""
    found = Path(tempfile.mkdtemp(dir="/dev/shm"))
    yield found
    shutil.rmtree(found)


def test_a_good_node_has_no_failure_and_leaves_nothing_behind_but_its_note(tmp_path: Path) -> None:
    report = examined(configuration(tmp_path), node="one")
    assert report.is_good, whole(report)
    grades = {check: line.grade for check, line in by_check(report).items()}
    for kind in ("sync", "rename", "link", "locks", "names"):
        assert grades[f"file system: {kind}"] is Grade.GOOD
    assert grades["clock: storage"] is Grade.GOOD
    left = [str(path.relative_to(tmp_path / "data")) for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert left == ["docker/registry/moorage/nodes/one.json"]


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    (tmp_path / "data").rmdir()
    assert by_check(examined(path))["folder"].grade is Grade.WARNING
    assert not (tmp_path / "data").exists()


def _looked_at(path: Path) -> tuple[set[str], str]:
    report = examined(path)
    return failures(report), whole(report)


def test_a_folder_that_may_only_be_read_is_named_with_the_user_who_may_not() -> None:
    with folder_for_all() as folder:
        path = configuration(folder)
        (folder / "data").chmod(0o555)
        failed, said = as_other_user(_looked_at, path)
        assert failed == {"folder"}
        assert "needs the right to write in" in said


def test_a_folder_in_memory_fails(memory_folder: Path) -> None:
    report = examined(configuration(memory_folder))
    assert failures(report) == {"file system"}
    assert "tmpfs" in by_check(report)["file system"].said


def test_blobs_on_another_file_system_are_found_by_a_rename(tmp_path: Path, memory_folder: Path) -> None:
    path = configuration(tmp_path)
    (tmp_path / "data/docker/registry/v2").mkdir(parents=True)
    (tmp_path / "data/docker/registry/v2/blobs").symlink_to(memory_folder)
    report = examined(path)
    assert failures(report) == {"file system: rename"}
    assert "on another file system" in by_check(report)["file system: rename"].said
    assert list(memory_folder.iterdir()) == []


async def name_of(path: Path) -> str:
    async with opened_database(path) as database:
        return (await half_of(database)).identity


def test_an_adoption_that_goes_on_is_told_and_a_configuration_that_does_not_know_of_it_fails(tmp_path: Path) -> None:
    database = {"enabled": True, "sqlite": str(tmp_path / "moorage.db")}
    made = CliRunner().invoke(app, ["database", "migrate", "up", str(configuration(tmp_path, database=database))])
    assert made.exit_code == 0, made.output
    note = tmp_path / "data/docker/registry/moorage/adopting.json"
    note.parent.mkdir(parents=True)

    def looked_at(name: str, **more: object) -> Report:
        note.write_text(json.dumps({"version": 1, "database": name}))
        return examined(configuration(tmp_path, database={**database, **more}))

    name = asyncio.run(name_of(tmp_path / "moorage.db"))
    report = looked_at(name, adopt=True)
    assert report.is_good, whole(report)
    assert by_check(report)["adoption"].grade is Grade.WARNING
    assert "moorage database adopt status" in by_check(report)["adoption"].remedy
    assert failures(looked_at(name)) == {"adoption"}
    assert failures(looked_at("another", adopt=True)) == {"database and storage"}


def test_a_registry_that_is_read_only_is_not_written_to(tmp_path: Path) -> None:
    storage = {
        "filesystem": {"rootdirectory": str(tmp_path / "data")},
        "maintenance": {"readonly": {"enabled": True}},
    }
    report = examined(configuration(tmp_path, storage=storage))
    assert report.is_good
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize(
    ("begin", "name", "said"),
    [
        (datetime.now(UTC) - timedelta(days=9), "registry.test", "has expired"),
        (datetime.now(UTC) + timedelta(days=1), "registry.test", "is not valid before"),
        (None, "other.test", "it is for other.test and not for registry.test"),
    ],
)
def test_a_certificate_that_no_client_takes_fails(tmp_path: Path, begin: datetime | None, name: str, said: str) -> None:
    made = Authority(tmp_path / "ca").certify("tls", name, begin=begin, days=2)
    tls = {"certificate": str(made.certificate), "key": str(made.key)}
    report = examined(configuration(tmp_path, http={"host": "https://registry.test", "tls": tls}))
    assert "certificate" in failures(report)
    assert said in whole(report)


def test_a_chain_that_does_not_hold_together_is_a_warning(tmp_path: Path) -> None:
    made = Authority(tmp_path / "ca").certify("tls", "registry.test", days=300)
    tls = {"certificate": str(made.certificate), "key": str(made.key)}
    path = configuration(tmp_path, http={"tls": tls})
    assert "stands alone" in by_check(examined(path))["certificate"].said
    stranger = Authority(tmp_path / "other").certificate
    made.certificate.write_bytes(made.certificate.read_bytes() + stranger.read_bytes())
    assert "its chain is broken" in by_check(examined(path))["certificate"].said
    made = Authority(tmp_path / "ca").certify("tls", "registry.test", days=5)
    made.certificate.write_bytes(made.certificate.read_bytes() + (tmp_path / "ca/ca.crt").read_bytes())
    assert "ends on" in by_check(examined(path))["certificate"].said


def test_a_node_with_another_secret_is_found_and_neither_secret_shown(tmp_path: Path) -> None:
    assert examined(configuration(tmp_path), node="one").is_good
    other = "another secret of a node that was set up later"
    report = examined(configuration(tmp_path, http={"secret": other}), node="two")
    assert failures(report) == {"node one"}
    assert "another http.secret" in whole(report)
    assert other not in whole(report)
    notes = "".join(path.read_text() for path in (tmp_path / "data/docker/registry/moorage/nodes").iterdir())
    assert other not in notes
    same = by_check(examined(configuration(tmp_path, http={"secret": other}), node="three"))
    assert same["node two"].grade is Grade.GOOD
    assert same["node one"].grade is Grade.FAILED


def test_nodes_that_let_in_different_people_are_found_by_what_their_files_say(tmp_path: Path) -> None:
    users = tmp_path / "htpasswd"
    users.write_text("ada:$2y$05$abcdefghijklmnopqrstuuu5s3GmYPBcLvDBRDn4hd3yVvUmKQyEO\n")
    path = configuration(tmp_path, auth={"htpasswd": {"realm": "here", "path": str(users)}})
    assert examined(path, node="one").is_good
    assert by_check(examined(path, node="two"))["node one"].grade is Grade.GOOD
    users.write_text("eve:$2y$05$abcdefghijklmnopqrstuuu5s3GmYPBcLvDBRDn4hd3yVvUmKQyEO\n")
    assert by_check(examined(path, node="two"))["node one"].said.endswith("in: auth")


def test_a_note_that_somebody_has_made_up_stops_nothing(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    notes = tmp_path / "data/docker/registry/moorage/nodes"
    notes.mkdir(parents=True)
    for number, text in enumerate(["", "[]", "{", '{"node":"x","seen_at":"never"}', '{"fingerprints":[1]}']):
        (notes / f"{number}.json").write_text(text)
    report = examined(path)
    assert report.is_good
    assert by_check(report)["other nodes"].grade is Grade.SKIPPED


@pytest.mark.parametrize("secret", ["", "short"])
def test_a_secret_that_is_none_is_a_warning(tmp_path: Path, secret: str) -> None:
    line = by_check(examined(configuration(tmp_path, http={"secret": secret})))["secret"]
    assert line.grade is Grade.WARNING
    assert "openssl rand" in line.remedy


def test_the_command_prints_json_and_its_status_says_whether_something_failed(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    good = CliRunner().invoke(app, ["doctor", "--json", "--node", "one", str(path)])
    assert good.exit_code == 0
    assert json.loads(good.stdout)["ok"] is True
    lines = CliRunner().invoke(app, ["doctor", "--url", "http://127.0.0.1:1", str(path)])
    assert lines.exit_code == 1
    (failed,) = [line for line in lines.stdout.splitlines() if line.startswith("failed")]
    assert failed.startswith("failed  address: http://127.0.0.1:1 gives no answer: Connection refused; see that")
    path.write_text("version: 0.1\nhttp: {prefix: registry}\n")
    bad = CliRunner().invoke(app, ["doctor", "--json", str(path)])
    assert bad.exit_code == 1
    assert [check["check"] for check in json.loads(bad.stdout)["checks"]] == ["configuration", "configuration"]
