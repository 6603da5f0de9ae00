"""The command ``registry``: what it prints where, its statuses, and Go's forms of options on both commands."""

import io
import os
import sqlite3
import sys
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from moorage.cli import main as moorage
from moorage.cli.gitlab_registry import main as registry
from support.postgres import Postgres


@dataclass
class Found:
    """What a command printed, and its status."""

    status: int
    stdout: str
    stderr: str


def run(*words: str, **environ: str) -> Found:
    """A command line, in this process."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "SKIP_POST"))}
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", list(words))
        patch.setattr(sys, "stdin", io.StringIO())
        patch.setattr(os, "environ", clean | environ)
        try:
            {"registry": registry, "moorage": moorage}[words[0]]()
        except SystemExit as exc:
            status = int(exc.code or 0)
    return Found(status, out.getvalue(), err.getvalue())


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A configuration whose images are in an SQLite file that is not there yet."""
    path = tmp_path / "config.yml"
    storage = f"storage: {{filesystem: {{rootdirectory: '{tmp_path / 'data'}'}}}}"
    path.write_text(f"version: 0.1\n{storage}\ndatabase: {{enabled: true, sqlite: '{tmp_path / 'm.db'}'}}\n")
    return str(path)


@pytest.mark.parametrize("words", [(), ("database",), ("database", "nonsense"), ("database", "migrate")])
def test_a_group_without_a_command_prints_its_usage_as_an_error_with_status_0(words: tuple[str, ...]) -> None:
    found = run("registry", *words)
    assert (found.status, found.stdout) == (0, "")
    assert found.stderr.startswith("Usage:\n  registry")


@pytest.mark.parametrize(
    "words", [("help",), ("--help",), ("-h",), ("help", "serve"), ("serve", "--help"), ("database", "migrate", "-h")]
)
def test_help_is_printed_with_status_0(words: tuple[str, ...]) -> None:
    found = run("registry", *words)
    assert (found.status, found.stderr) == (0, "")
    assert "Usage:\n  registry" in found.stdout


@pytest.mark.parametrize("flag", ["-v", "--version", "--version=true"])
def test_the_version_has_three_words(flag: str) -> None:
    found = run("registry", flag)
    assert found.status == 0
    assert found.stdout.split()[:2] == ["registry", "moorage"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nonsense",), 'unknown command "nonsense" for "registry"'),
        (("--nonsense",), "unknown flag: --nonsense"),
        (("garbage-collect", "-dx"), "unknown shorthand flag: 'x' in -dx"),
        (("garbage-collect", "--dry-run=maybe"), 'invalid argument "maybe" for "-d, --dry-run" flag'),
        (("database", "migrate", "up", "-n"), "flag needs an argument: 'n' in -n"),
        (("database", "migrate", "up", "-n", "many"), 'strconv.Atoi: parsing "many": invalid syntax'),
        (("serve",), "configuration error: configuration path unspecified"),
        (("garbage-collect",), "configuration error: configuration path unspecified"),
        (("database", "migrate", "status"), "configuration error: configuration path unspecified"),
        (("database", "import", "-1", "-2", "x.yml"), "steps two or three can't be used with step one"),
        (("database", "import", "-123", "x.yml"), "steps two or three can't be used with step one"),
        (("database", "import", "--step-two", "-B", "x.yml"), "step three can't be used with step two"),
        (("database", "import"), "configuration error: configuration path unspecified"),
        (("database", "import", "-t", "many", "x.yml"), 'strconv.Atoi: parsing "many": invalid syntax'),
    ],
)
def test_mistakes_have_status_1(words: tuple[str, ...], said: str) -> None:
    found = run("registry", *words)
    assert (found.status, found.stdout) == (1, "")
    assert said in found.stderr


def test_an_unknown_help_topic_has_status_0() -> None:
    found = run("registry", "help", "nonsense")
    assert (found.status, found.stdout) == (0, "")
    assert found.stderr.startswith("Unknown help topic nonsense\n")


@pytest.mark.parametrize("command", ["registry", "moorage"])
def test_an_import_refuses_what_gitlabs_refuses(command: str, config: str) -> None:
    for words, said in (
        (("-t", "6"), "tag-concurrency must be between 1 and 5"),
        (("-t=2",), "the tag concurrency option is only compatible with a gcs backed registry storage"),
        (("-2", "--common-blobs=true"), "step three can't be used with step two"),
        (("-1", "-2=false", "--pre-import-skip-recent", "0s"), "there is no folder"),
    ):
        found = run(command, "database", "import", *words, "--log-directory", str(Path(config).parent), config)
        assert (found.status, found.stdout) == (1, ""), found
        assert said in found.stderr


def test_an_import_is_recorded_unless_it_is_told_not_to(config: str) -> None:
    folder = Path(config).parent
    (folder / "data").mkdir()

    def recorded(command: str, *words: str) -> int:
        done = run(command, "database", "import", "-1", *words, "--log-directory", str(folder), config)
        assert done.status == 0, done
        with closing(sqlite3.connect(folder / "m.db")) as connection:
            (count,) = connection.execute("SELECT count(*) FROM import_statistics").fetchone()
        return int(count)

    assert recorded("registry", "-i=false") == 0
    assert recorded("moorage", "--import-statistics=false") == 0
    assert recorded("registry", "--dry-run") == 0
    assert recorded("registry", "-i") == 1
    assert recorded("moorage") == 2


@pytest.mark.parametrize("command", ["registry", "moorage"])
def test_a_limit_of_0_means_all(command: str, config: str) -> None:
    migrate = (command, "database", "migrate")
    said = run(*migrate, "up", "-n", "0", config)
    assert said.status == 0, said
    assert "OK: applied" in said.stdout
    assert "applied 0 pre" not in said.stdout
    assert run(*migrate, "up", "-n=0", "-p=0", config).status == 1
    assert run(*migrate, "up", "--limit=-1", config).status == 1
    assert run(*migrate, "status", "-s=true", "--up-to-date=true", config).stdout == "true\n"


@pytest.mark.parametrize("command", ["registry", "moorage"])
@pytest.mark.parametrize("flag", ["--dry-run=true", "-d=true", "-d=T", "--dry-run=1"])
def test_a_flag_takes_true_in_gos_forms(command: str, flag: str, config: str, tmp_path: Path) -> None:
    found = run(command, "database", "migrate", "up", flag, config)
    assert (found.status, "OK: applied" in found.stdout) == (0, False)
    assert not (tmp_path / "m.db").exists()


@pytest.mark.parametrize("command", ["registry", "moorage"])
def test_a_flag_takes_false_and_it_counts_more_than_the_environment(command: str, config: str) -> None:
    line = (command, "database", "migrate", "up", "-d", "--dry-run=false", "--skip-post-deployment=false", config)
    found = run(*line, SKIP_POST_DEPLOYMENT_MIGRATIONS="true")
    assert (found.status, "OK: applied" in found.stdout) == (0, True), found


@pytest.mark.parametrize("command", ["registry", "moorage"])
@pytest.mark.parametrize("flags", [("--delete-untagged=true", "--dry-run=true"), ("-d", "-m=false"), ("-md",)])
def test_garbage_collection_takes_gos_forms(command: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "layout.yml"
    storage = f"storage: {{filesystem: {{rootdirectory: '{tmp_path / 'data'}'}}}}"
    path.write_text(f"version: 0.1\n{storage}\ndatabase: {{enabled: false}}\n")
    found = run(command, "garbage-collect", *flags, str(path))
    assert found.status == 0, found


@pytest.mark.parametrize("command", ["registry", "moorage"])
@pytest.mark.parametrize("verb", ["up", "down", "status", "version"])
def test_migrating_without_a_configuration_is_refused_and_makes_nothing(
    command: str, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = run(command, "database", "migrate", verb)
    assert found.status == 1
    assert "configuration path unspecified" in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_database_of_gitlabs_registry_is_named_by_every_command(postgres: Postgres, tmp_path: Path) -> None:
    name = postgres.create_database()
    postgres.psql("CREATE TABLE schema_migrations (id text)", name)
    path = tmp_path / "config.yml"
    storage = f"storage: {{filesystem: {{rootdirectory: '{tmp_path / 'data'}'}}}}"
    section = postgres.config_section(name, enabled=True)
    path.write_text(f"version: 0.1\n{storage}\n{section}\n")
    (tmp_path / "data").mkdir()
    lines = [
        ("moorage", "serve"),
        ("moorage", "check"),
        *(("registry", "database", "migrate", verb) for verb in ("up", "down", "status", "version")),
        *(("moorage", "background-migrate", verb) for verb in ("status", "pause", "resume", "run")),
        ("registry", "serve"),
    ]
    for line in lines:
        found = run(*line, str(path))
        assert found.status in (1, 2), (line, found)
        assert "belongs to GitLab's registry" in found.stderr, (line, found)
