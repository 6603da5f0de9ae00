"""``moorage user``: a file of passwords that the registry takes, and that stays as hidden as it was."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from moorage.auth.passwords import PasswordFile
from support.daemon import Daemon
from support.registry_client import RegistryClient

BASIC = {"Authorization": "Basic YWRhOnNlY3JldA=="}  # ada:secret


def user(*words: str | Path, given: bytes = b"secret\n", status: int = 0) -> str:
    command = [sys.executable, "-m", "moorage", "user", *map(str, words)]
    done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=60)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == status, said
    assert "Traceback" not in said
    return said


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_its_owners_alone_and_the_registry_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "users"
    assert user("add", file, "ada", "--password-stdin") == "ada is added\n"
    assert mode(file) == 0o600
    assert PasswordFile.parse(file.read_bytes())
    user("add", file, "bob", "--password-stdin")
    assert user("list", file) == "ada\nbob\n"


@pytest.mark.parametrize("before", [0o640, 0o400, 0o644])
def test_who_may_read_a_file_stays_as_it_was(tmp_path: Path, before: int) -> None:
    file = tmp_path / "users"
    file.write_text("# ours\n")
    file.chmod(before)
    user("add", file, "ada", "--password-stdin")
    assert mode(file) == before
    user("remove", file, "ada")
    assert mode(file) == before
    assert file.read_text() == "# ours\n"


def test_a_user_who_is_there_gets_a_new_password_only_with_update(tmp_path: Path) -> None:
    file = tmp_path / "users"
    user("add", file, "ada", "--password-stdin")
    before = file.read_bytes()
    assert "has a user ada already; --update" in user("add", file, "ada", "--password-stdin", status=1)
    assert file.read_bytes() == before
    assert user("add", file, "ada", "--update", "--password-stdin", given=b"new\n") == "ada has a new password\n"
    assert file.read_bytes() != before
    assert user("list", file) == "ada\n"


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("ada", b"x" * 73 + b"\n", "more than 72 bytes"),
        ("ada", "é".encode() * 37 + b"\n", "more than 72 bytes"),
        ("ada", b"\n", "the password is empty"),
        ("ada", b"a\0b\n", "zero byte"),
        ("ada", b"\xff\xfe\n", "UTF-8"),
        ("a:b", b"secret\n", "no colon"),
        ("#ada", b"secret\n", "cannot be a user"),
    ],
)
def test_what_would_not_work_is_refused_with_the_reason(tmp_path: Path, name: str, given: bytes, why: str) -> None:
    file = tmp_path / "users"
    assert why in user("add", file, name, "--password-stdin", given=given, status=2)
    assert not file.exists()


def test_72_bytes_are_taken(tmp_path: Path) -> None:
    user("add", tmp_path / "users", "ada", "--password-stdin", given=b"x" * 72 + b"\n")


def test_a_user_who_is_not_there_cannot_be_removed(tmp_path: Path) -> None:
    assert "cannot read" in user("remove", tmp_path / "none", "ada", status=1)
    (tmp_path / "users").write_text("")
    assert "there is no user ada" in user("remove", tmp_path / "users", "ada", status=1)


def test_the_registry_lets_a_user_in_at_once(tmp_path: Path) -> None:
    file = tmp_path / "users"
    user("add", file, "bob", "--password-stdin")
    storage = f"storage: {{filesystem: {{rootdirectory: '{tmp_path / 'data'}'}}}}"
    config = f"version: 0.1\n{storage}\nauth: {{htpasswd: {{realm: Registry, path: '{file}'}}}}\n"
    with Daemon(tmp_path, config=config) as daemon, RegistryClient(daemon.address, headers=BASIC) as client:
        assert client.base().status == 401
        user("add", file, "ada", "--password-stdin")
        wait_until_in(client)
        assert mode(file) == 0o600


def wait_until_in(client: RegistryClient) -> None:
    """The file counts within a second; each wrong try makes the next one wait, so there are few of them."""
    for _ in range(10):
        if client.base().status == 200:
            return
    pytest.fail("the user is not let in")
