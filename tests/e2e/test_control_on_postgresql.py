"""The control plane on PostgreSQL: it does not start without its tables, and a command makes them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from moorage.token_server.key_ring import KeyFolder
from support.commands import moorage
from support.postgres import Postgres

SECRET = "a-secret-of-tests-that-is-long-enough"


@pytest.fixture
def configuration(tmp_path: Path, postgres: Postgres) -> Path:
    section = yaml.safe_load(postgres.config_section(postgres.create_database()))["database"]
    del section["enabled"]
    KeyFolder(tmp_path / "keys").prepare(time.time())
    # Nobody is at that port, whatever this machine has at the usual one.
    registry = {"enabled": True, "key": "keys", "issuer": "control", "api_url": "http://127.0.0.1:1/"}
    file = tmp_path / "control.yml"
    file.write_text(yaml.safe_dump({"secret": SECRET, "log": "text", "database": section, "registry": registry}))
    return file


def control(configuration: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return moorage("control", *words, env={**os.environ, "MOORAGE_CONTROL": str(configuration)})


def test_tables_are_made_by_a_command_and_then_used(configuration: Path) -> None:
    refused = control(configuration, "serve", str(configuration))
    assert refused.returncode == 1
    assert "run moorage control migrate first, on one node" in refused.stderr
    assert "migrations were applied" in control(configuration, "migrate").stdout
    assert control(configuration, "user", "create", "ada").stdout == "ada is a user now\n"
    token = control(configuration, "token", "create", "ada", "--name", "x", "--scope", "api", "--json")
    assert json.loads(token.stdout)["token"].startswith("glpat-")


def test_nodes_that_make_the_tables_at_once_wait_for_each_other(configuration: Path) -> None:
    command = [sys.executable, "-m", "moorage", "control", "migrate", "--config", str(configuration)]
    nodes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(3)]
    said = [node.communicate(timeout=120)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0, 0], said


def test_a_database_that_is_not_there_is_said_in_one_line(configuration: Path) -> None:
    configuration.write_text(configuration.read_text().replace("dbname: ", "dbname: no-"))
    refused = control(configuration, "migrate")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: database: it cannot be used: ")
    assert refused.stderr.count("\n") == 1


def test_a_database_that_cannot_hold_every_name_gets_no_tables(configuration: Path, postgres: Postgres) -> None:
    section = yaml.safe_load(configuration.read_text())["database"]
    dbname = section["dbname"]
    postgres.psql(f"DROP DATABASE {dbname}")
    postgres.psql(f"CREATE DATABASE {dbname} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    refused = control(configuration, "migrate")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: database: the database is encoded in LATIN1, which")
    assert postgres.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", dbname) == "0"


def test_a_page_of_the_repositories_of_a_group_reads_few_of_them(configuration: Path) -> None:
    assert "migrations were applied" in control(configuration, "migrate").stdout
    read = json.loads(_beside(configuration, "support.postgres_plans"))
    assert sorted(read) == ["-updated_at", "created_at", "name"]
    assert max(read.values()) < 100, read  # Of 1,200.


def test_two_workers_share_rows_and_the_capacity_of_cleanups(configuration: Path) -> None:
    assert "migrations were applied" in control(configuration, "migrate").stdout
    found = json.loads(_beside(configuration, "support.postgres_jobs"))
    first, second = found["beside_an_open_transaction"]
    assert None not in (first, second)
    assert first != second
    taken = [pk for one in found["drained"] for pk in one]
    assert len(taken) == len(set(taken)) == 30
    assert found["over_capacity"] == [1] * 8


def test_of_two_requests_for_the_same_thing_at_once_the_second_is_answered_as_after_the_first(
    configuration: Path,
) -> None:
    assert "migrations were applied" in control(configuration, "migrate").stdout
    found = json.loads(_beside(configuration, "support.postgres_races"))
    assert len(found) > 15
    assert {name: one["race"] for name, one in found.items()} == {name: one["turn"] for name, one in found.items()}
    assert "500" not in json.dumps(found)


def test_what_goes_between_the_look_and_the_write_of_a_request_is_no_fault_of_ours(configuration: Path) -> None:
    assert "migrations were applied" in control(configuration, "migrate").stdout
    found = json.loads(_beside(configuration, "support.overtaken"))
    assert {name: said for name, said in found.items() if not said.startswith(("2", "4"))} == {}
    assert {name: said for name, said in found.items() if "nothing came between" in said} == {}
    assert found.pop("administrator") == "200 [False, True]"
    # Who takes away what has gone by then has what was wanted.
    done = {"group deleted", "member removed", "rule removed", "token revoked"}
    assert {name for name, said in found.items() if said.startswith("2")} == done


def _beside(configuration: Path, module: str) -> str:
    """The last line of a module that is run with Django."""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", module, str(configuration)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]
