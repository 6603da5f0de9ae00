"""What may not be read or written is told in one sentence: which path, who runs this, what would be right."""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# All that the commands would import later: another user may not be able to read it.
from moorage import cli
from moorage.cli import background_runs, checking, garbage_collecting, migrating, token, user
from moorage.metadata.schema import sqlite_migrations as sqlite
from moorage.server import worker
from moorage.starting import database_choice, registry_start
from moorage.token_server import explaining
from support.other_user import as_other_user, folder_for_all

IMPORTED = (background_runs, checking, database_choice, explaining, garbage_collecting, migrating)
IMPORTED_TOO = (registry_start, sqlite, token, user, worker)


@pytest.fixture
def root() -> Iterator[Path]:
    with folder_for_all() as path:
        (path / "data").mkdir(mode=0o777)
        (path / "data").chmod(0o777)
        yield path


def run(*words: str) -> tuple[object, str, str, int]:
    """A command's status, its output, and who ran it."""
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["moorage", *words]
    status: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as exc:
            status = exc.code
    return status, out.getvalue(), err.getvalue(), os.geteuid()


def settings(root: Path, http: str = "addr: '127.0.0.1:0'", **more: str) -> Path:
    data = f"storage: {{filesystem: {{rootdirectory: '{root / 'data'}'}}}}"
    path = root / "config.yml"
    extra = "".join(f"{name}: {value}\n" for name, value in more.items())
    path.write_text(f"version: 0.1\n{data}\nhttp: {{{http}}}\n{extra}")
    path.chmod(0o644)
    return path


def locked(path: Path, mode: int = 0o000) -> Path:
    if not path.exists():
        path.write_text("")
    path.chmod(mode)
    return path


def the_data_folder(root: Path) -> list[str]:
    found = settings(root)
    locked(root / "data")
    return ["serve", str(found)]


def the_data_folder_that_is_to_be_made(root: Path) -> list[str]:
    (root / "data").rmdir()
    locked(root, 0o555)
    return ["serve", "--data", str(root / "data")]


def the_data_folder_of_a_check(root: Path) -> list[str]:
    locked(root / "data")
    return ["check", "--data", str(root / "data")]


def the_data_folder_of_a_collection(root: Path) -> list[str]:
    found = settings(root, database="{enabled: 'false'}")
    locked(root / "data")
    return ["garbage-collect", str(found)]


def the_database_file(root: Path) -> list[str]:
    (root / "db").mkdir(mode=0o755)
    locked(root / "db" / "moorage.db")
    return ["serve", str(settings(root, database=f"{{enabled: true, sqlite: '{root / 'db' / 'moorage.db'}'}}"))]


def the_folder_of_the_database_file(root: Path) -> list[str]:
    (root / "db").mkdir()
    locked(root / "db")
    return ["serve", str(settings(root, database=f"{{enabled: true, sqlite: '{root / 'db' / 'moorage.db'}'}}"))]


def the_database_file_of_a_migration(root: Path) -> list[str]:
    (root / "db").mkdir(mode=0o755)
    locked(root / "db" / "moorage.db")
    found = settings(root, database=f"{{enabled: true, sqlite: '{root / 'db' / 'moorage.db'}'}}")
    return ["database", "migrate", "up", str(found)]


def the_socket(root: Path) -> list[str]:
    (root / "run").mkdir(mode=0o755)
    return ["serve", str(settings(root, f"net: unix, addr: '{root / 'run' / 'socket'}'"))]


def the_report(root: Path) -> list[str]:
    (root / "reports").mkdir(mode=0o755)
    return ["check", "--data", str(root / "data"), "--report", str(root / "reports" / "all")]


def a_report_that_is_there(root: Path) -> list[str]:
    return ["check", "--data", str(root / "data"), "--report", str(locked(root / "all", 0o444))]


def the_certificate(root: Path) -> list[str]:
    files = f"certificate: '{locked(root / 'crt')}', key: '{locked(root / 'key')}'"
    return ["config", "check", str(settings(root, f"addr: '127.0.0.1:0', tls: {{{files}}}"))]


def the_users(root: Path) -> list[str]:
    found = settings(root, auth=f"{{htpasswd: {{realm: r, path: '{locked(root / 'htpasswd')}'}}}}")
    return ["serve", str(found)]


def the_bundle(root: Path) -> list[str]:
    (root / "keys").mkdir()
    locked(root / "keys")
    auth = f"{{token: {{realm: 'https://r/t', service: s, issuer: i, rootcertbundle: '{root / 'keys' / 'pem'}'}}}}"
    return ["serve", str(settings(root, auth=auth))]


def the_configuration(root: Path) -> list[str]:
    return ["serve", str(locked(settings(root)))]


def the_users_of_a_command(root: Path) -> list[str]:
    return ["user", "list", str(locked(root / "htpasswd"))]


CASES: list[tuple[Callable[[Path], list[str]], str]] = [
    (the_data_folder, "read {root}/data"),
    (the_data_folder_that_is_to_be_made, "write in {root}"),
    (the_data_folder_of_a_check, "read {root}/data"),
    (the_data_folder_of_a_collection, "read {root}/data"),
    (the_database_file, "write to {root}/db/moorage.db"),
    (the_folder_of_the_database_file, "enter (x) {root}/db"),
    (the_database_file_of_a_migration, "write to {root}/db/moorage.db"),
    (the_socket, "write in {root}/run"),
    (the_report, "write in {root}/reports"),
    (a_report_that_is_there, "write to {root}/all"),
    (the_certificate, "read {root}/key"),
    (the_users, "read {root}/htpasswd"),
    (the_bundle, "enter (x) {root}/keys"),
    (the_configuration, "read {root}/config.yml"),
    (the_users_of_a_command, "read {root}/htpasswd"),
]


@pytest.mark.parametrize(("make", "right"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_who_lacks_which_right_is_told(root: Path, make: Callable[[Path], list[str]], right: str) -> None:
    status, out, err, uid = as_other_user(run, *make(root))
    said = [line for line in (out + err).splitlines() if "which needs the right to" in line]
    assert said, (status, out, err)
    assert f"which needs the right to {right.format(root=root)}" in said[-1]
    assert f"uid {uid}" in said[-1]
    assert status not in (0, None)
    assert "Traceback" not in out + err
