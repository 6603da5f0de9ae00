"""``moorage database migrate`` and ``moorage background-migrate``: what they print, and their status."""

import asyncio
import dataclasses
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from moorage.cli import main
from moorage.metadata.background.background_migrations import JOBS
from moorage.metadata.schema.chains import CHAINS
from support.background import Jobs, add, fill, values
from support.migrations import run
from support.postgres import Postgres

NAMES = [migration.name for migration in CHAINS.pre.migrations]
LAST = NAMES[-1]
APPLIED = re.compile(
    r"OK: applied (\d+) pre-deployment migration\(s\), (\d+) post-deployment migration\(s\) and "
    r"(\d+) background migration\(s\) in \d+\.\d{3}s\n"
)


@dataclasses.dataclass
class Found:
    """What a command printed, and its status."""

    status: int
    stdout: str
    stderr: str


def moorage(*args: str, stdin: str = "", **environ: str) -> Found:
    """The command, in this process: another one for each would take most of the time."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "SKIP_POST"))}
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["moorage", *args])
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        patch.setattr(os, "environ", clean | environ)
        try:
            main()
        except SystemExit as exc:
            status = int(exc.code or 0)
    return Found(status, out.getvalue(), err.getvalue())


def said(*args: str, **environ: str) -> str:
    found = moorage(*args, **environ)
    assert (found.status, found.stderr) == (0, "")
    return found.stdout


def refusal(*args: str, **environ: str) -> str:
    found = moorage(*args, **environ)
    assert (found.status, found.stdout) == (1, "")
    return found.stderr


@pytest.fixture(params=["data", "sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The three ways to name a database: a folder, a configuration with a file, one with a server."""
    if request.param == "data":
        return ["--data", str(tmp_path / "data")]
    config = tmp_path / "config.yml"
    section = f"database: {{enabled: true, sqlite: {tmp_path}/named.db}}\n"
    if request.param == "postgres":
        postgres: Postgres = request.getfixturevalue("postgres")
        section = postgres.config_section(postgres.create_database())
    config.write_text(f"version: 0.1\nstorage: inmemory\n{section}")
    return [str(config)]


def test_from_nothing_to_everything_and_back(where: list[str]) -> None:
    assert said("database", "migrate", "status", "-u", *where) == "false\n"
    assert said("database", "migrate", "version", *where) == "pre-deployment:Unknown\npost-deployment:Unknown\n"
    plan = "".join(f"{line}\n" for line in ["pre-deployment:", *NAMES])
    assert said("database", "migrate", "up", "--dry-run", *where) == plan
    done = said("database", "migrate", "up", *where)
    assert done.startswith(plan)
    applied = APPLIED.fullmatch(done.removeprefix(plan))
    assert applied is not None
    assert applied.groups() == (str(len(NAMES)), "0", "0")
    assert said("database", "migrate", "status", "--up-to-date", *where) == "true\n"
    assert said("database", "migrate", "version", *where) == f"pre-deployment:{LAST}\npost-deployment:Unknown\n"
    table = said("database", "migrate", "status", *where)
    assert re.search(rf"^{LAST} +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+00:00$", table, re.MULTILINE)
    down = said("database", "migrate", "down", "--force", "-n", "1", *where)
    assert re.fullmatch(
        rf"pre-deployment:\n{LAST}\nOK: applied 1 pre-deployment migration\(s\) in \d+\.\d{{3}}s\n", down
    )
    assert said("database", "migrate", "status", "-u", *where) == "false\n"


def test_down_asks_first(tmp_path: Path) -> None:
    where = ("--data", str(tmp_path))
    said("database", "migrate", "up", *where)
    question = "Preparing to apply the above down migrations. Are you sure? [y/N] "
    for answer in ("n\n", "\n", "yess\n"):
        kept = moorage("database", "migrate", "down", "-n", "1", *where, stdin=answer)
        assert (kept.status, kept.stdout, kept.stderr) == (0, f"pre-deployment:\n{LAST}\n", question)
    nobody = moorage("database", "migrate", "down", *where)
    assert (nobody.status, nobody.stderr) == (
        1,
        f"{question}\nerror: there is nobody to answer: give --force to go on without a question\n",
    )
    assert said("database", "migrate", "down", "--dry-run", *where).splitlines() == ["pre-deployment:", *NAMES[::-1]]
    assert said("database", "migrate", "version", *where).startswith(f"pre-deployment:{LAST}\n")
    gone = moorage("database", "migrate", "down", "-n", "1", *where, stdin="Y\n")
    assert gone.status == 0
    assert "OK: applied 1 pre-deployment migration(s)" in gone.stdout


def test_everything_can_be_json(tmp_path: Path) -> None:
    where = ("--data", str(tmp_path), "--json")
    plan: dict[str, Any] = json.loads(said("database", "migrate", "up", "-d", *where))
    assert plan == {"pre-deployment": NAMES, "post-deployment": [], "background": 0, "seconds": 0.0, "dry_run": True}
    done: dict[str, Any] = json.loads(said("database", "migrate", "up", *where))
    assert (done["pre-deployment"], done["dry_run"], done["seconds"] > 0) == (NAMES, False, True)
    status: dict[str, Any] = json.loads(said("database", "migrate", "status", *where))
    assert status["up_to_date"]
    assert [(item["name"], item["is_known"]) for item in status["migrations"]] == [(name, True) for name in NAMES]
    assert json.loads(said("database", "migrate", "status", "-u", *where)) == {"up_to_date": True}
    assert json.loads(said("database", "migrate", "version", *where)) == {
        "pre-deployment": LAST,
        "post-deployment": None,
    }
    assert refusal("database", "migrate", "down", *where).startswith("error: --json asks no question")
    down: dict[str, Any] = json.loads(said("database", "migrate", "down", "-f", *where))
    assert down["pre-deployment"] == NAMES[::-1]


def test_a_limit_is_at_least_one_where_both_are_given(tmp_path: Path) -> None:
    message = (
        "error: both pre and post migration limits must be greater than or equal to 1; one alone may be 0, for all\n"
    )
    for flags in (
        ("-n", "0", "-p", "1"),
        ("-n", "1", "-p", "0"),
        ("-n", "0", "-p", "0"),
        ("--post-deploy-limit", "-1"),
    ):
        for direction in ("up", "down"):
            assert refusal("database", "migrate", direction, *flags, "--data", str(tmp_path)) == message


def test_limits_count_each_kind(tmp_path: Path) -> None:
    where = ("--data", str(tmp_path), "--json")
    only_post = json.loads(said("database", "migrate", "up", "-p", "1", *where))
    assert only_post["pre-deployment"] == []
    one = json.loads(said("database", "migrate", "up", "-n", "1", *where))
    assert one["pre-deployment"] == NAMES[:1]


@pytest.mark.parametrize("flag", [("-s",), ()])
def test_post_deployment_migrations_can_be_left_out(tmp_path: Path, flag: tuple[str, ...]) -> None:
    environ = {} if flag else {"SKIP_POST_DEPLOYMENT_MIGRATIONS": "true"}
    where = ("--data", str(tmp_path))
    assert "OK: applied" in said("database", "migrate", "up", *flag, *where, **environ)
    assert said("database", "migrate", "status", "-u", *flag, *where, **environ) == "true\n"
    assert "post-deployment" not in said("database", "migrate", "status", *flag, *where, **environ)
    assert "post-deployment" in said("database", "migrate", "status", *where)


def test_what_newer_code_applied_is_said_to_be_unknown(tmp_path: Path) -> None:
    where = ("--data", str(tmp_path))
    said("database", "migrate", "up", *where)
    insert = "INSERT INTO moorage_migrations (phase, name, applied_at, oldest_code) VALUES ($1, $2, 1, 1)"
    asyncio.run(run(tmp_path / "moorage.db", insert, "pre-deployment", "0999_later"))
    assert "\n0999_later (unknown)  " in said("database", "migrate", "status", *where)
    assert said("database", "migrate", "status", "-u", *where) == "true\n"


def test_a_database_that_is_not_named_is_a_mistake(tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text("version: 0.1\nstorage: inmemory\n")
    assert refusal("database", "migrate", "up", str(config)) == (
        "error: the configuration names no database: there is nothing to migrate\n"
    )
    assert refusal("database", "migrate", "up", REGISTRY_CONFIGURATION_PATH=str(config)).startswith(
        "error: the configuration names no database"
    )
    assert "--data is for use without a configuration" in refusal(
        "database", "migrate", "status", str(config), "--data", str(tmp_path)
    )


def test_a_place_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be used as a folder" in refusal("database", "migrate", "up", "--data", str(tmp_path / "file"))


# --- background migrations


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    """Jobs of tests, known to the commands of this process."""
    found = Jobs()
    for name in ("raise", "fill"):
        function = found.find(name)
        assert function is not None
        JOBS.register(name, function)
    yield found
    for name in ("raise", "fill"):
        del JOBS._functions[name]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a database in which there are numbers to raise."""

    async def prepare() -> None:
        await fill(tmp_path / "moorage.db")
        await add(tmp_path / "moorage.db")

    said("database", "migrate", "up", "--data", str(tmp_path))
    asyncio.run(prepare())
    return tmp_path


def test_they_are_listed_paused_resumed_and_run(data: Path, jobs: Jobs) -> None:
    def status() -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = re.findall(
            r"^raise +(\w+) +([0-9.]+)%$", said("background-migrate", "status", "--data", str(data)), re.MULTILINE
        )
        return found

    assert status() == [("active", "0.0")]
    assert said("background-migrate", "pause", "--data", str(data)) == "paused: raise\n"
    assert status() == [("paused", "0.0")]
    assert said("background-migrate", "pause", "--data", str(data)) == "nothing to be paused\n"
    assert said("background-migrate", "resume", "--data", str(data)) == "resumed: raise\n"
    assert status() == [("active", "0.0")]
    assert said("background-migrate", "run", "--data", str(data)) == "OK: finished 1 background migration(s)\n"
    assert status() == [("finished", "100.0")]
    assert asyncio.run(values(data / "moorage.db")) == {1}
    assert len(jobs.batches) == 3


def test_they_are_told_as_json(data: Path, jobs: Jobs) -> None:
    jobs.broken_at = 3
    assert refusal("background-migrate", "run", "-r", "1", "--json", "--data", str(data)) == (
        "error: background migration raise failed (max_job_retry): 3 is broken\n"
    )
    assert json.loads(said("background-migrate", "status", "--json", "--data", str(data))) == {
        "migrations": [
            {
                "name": "raise",
                "status": "failed",
                "done": 0.6,
                "finished_jobs": 2,
                "failed_jobs": 1,
                "failure": "max_job_retry",
            }
        ]
    }
    assert json.loads(said("background-migrate", "pause", "--json", "--data", str(data))) == {"migrations": []}
    jobs.broken_at = None
    assert json.loads(said("background-migrate", "run", "--json", "--data", str(data))) == {"finished": 1}


def test_attempts_are_from_one_to_ten(tmp_path: Path) -> None:
    for attempts in ("0", "11"):
        assert refusal("background-migrate", "run", "-r", attempts, "--data", str(tmp_path)) == (
            "error: limit must be greater than 0 and less than 10\n"
        )


def test_they_need_the_schema(where: list[str]) -> None:
    assert refusal("background-migrate", "status", *where) == (
        "error: there are pending database migrations, use the 'moorage database migrate up' command to check and "
        "apply them\n"
    )


def test_a_server_has_them_too(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    postgres: Postgres = request.getfixturevalue("postgres")
    config = tmp_path / "config.yml"
    config.write_text(f"version: 0.1\nstorage: inmemory\n{postgres.config_section(postgres.create_database())}")
    said("database", "migrate", "up", str(config))
    assert said("background-migrate", "status", str(config)) == "BATCHED BACKGROUND MIGRATION  STATUS  DONE\n"
    assert said("background-migrate", "run", str(config)) == "OK: finished 0 background migration(s)\n"


def test_it_is_a_command_of_its_own_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "moorage", "database", "migrate", "up", "--data", str(tmp_path / "new")]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert (found.returncode, found.stderr) == (0, "")
    assert APPLIED.search(found.stdout)
    assert (tmp_path / "new" / "moorage.db").exists()
