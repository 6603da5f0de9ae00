"""Credentials in docker's and podman's files, and in a helper that is a real process."""

import json
import os
import stat
from pathlib import Path

import pytest

from moorage.client.docker_config import Login, LoginFiles, LoginFileUnusable
from moorage.client.places import ImagePlace, read_place

HELPER = """#!/bin/sh
case $1 in
get) cat >/dev/null; cat "$HOME/secret" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
store) cat >"$HOME/secret" ;;
erase) cat >/dev/null; rm "$HOME/secret" ;;
esac
"""


def files_of(folder: Path, content: object) -> LoginFiles:
    (folder / ".docker").mkdir()
    (folder / ".docker" / "config.json").write_text(json.dumps(content))
    helper = folder / "docker-credential-x"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    return LoginFiles.of({"HOME": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"})


def test_a_login_is_kept_for_its_owner_alone_and_the_rest_of_the_file_stays(tmp_path: Path) -> None:
    files = files_of(tmp_path, {"psFormat": "x", "auths": {"other.example": {"auth": "YTpi"}}})
    where = Path(files.store("r.example", Login("ada", "se:cret")))
    assert files.find("r.example") == Login("ada", "se:cret")
    assert files.find("other.example") == Login("a", "b")
    assert json.loads(where.read_text())["psFormat"] == "x"
    assert stat.S_IMODE(where.stat().st_mode) == 0o600
    assert files.erase("r.example")
    assert not files.erase("r.example")
    assert files.find("r.example") is None


@pytest.mark.parametrize("content", [{"credsStore": "x"}, {"credHelpers": {"r.example": "x"}}])
def test_a_helper_keeps_gives_and_forgets_a_login(tmp_path: Path, content: object) -> None:
    files = files_of(tmp_path, content)
    assert files.find("r.example") is None
    assert files.store("r.example", Login("ada", "secret")) == "docker-credential-x"
    assert files.find("r.example") == Login("ada", "secret")
    assert "secret" not in (tmp_path / ".docker" / "config.json").read_text()
    assert files.erase("r.example")
    assert files.find("r.example") is None


def test_a_helper_that_is_not_there_is_named(tmp_path: Path) -> None:
    files = files_of(tmp_path, {"credsStore": "missing"})
    with pytest.raises(LoginFileUnusable, match="cannot run docker-credential-missing"):
        files.find("r.example")


def test_a_file_that_is_no_json_is_named_and_not_overwritten(tmp_path: Path) -> None:
    files = files_of(tmp_path, {})
    files.paths[0].write_text("{")
    with pytest.raises(LoginFileUnusable, match="it is no JSON"):
        files.store("r.example", Login("a", "b"))
    assert files.paths[0].read_text() == "{"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("group/app:1", ImagePlace("", "group/app", "1")),
        ("r.example/group/app:1", ImagePlace("https://r.example", "group/app", "1")),
        ("localhost:5000/app", ImagePlace("http://localhost:5000", "app")),
        ("https://127.0.0.1:5/a@sha256:00", ImagePlace("https://127.0.0.1:5", "a", "", "sha256:00")),
        ("[::1]:5000/app:2", ImagePlace("http://[::1]:5000", "app", "2")),
    ],
)
def test_a_place_is_read_as_docker_reads_it(text: str, expected: ImagePlace) -> None:
    assert read_place(text) == expected


def test_the_longest_part_of_a_registry_that_podman_keeps_is_used(tmp_path: Path) -> None:
    auths = {"r.example": {"auth": "YTpi"}, "r.example/group": {"auth": "YzpkCg=="}, "r.example/group/app": {}}
    auths["r.example/group"]["auth"] = "YzpkYg=="
    files = files_of(tmp_path, {"auths": auths})
    assert files.find("r.example", "group/app") == Login("c", "db")
    assert files.find("r.example", "group") == Login("c", "db")
    assert files.find("r.example", "groups/app") == Login("a", "b")
    assert files.find("r.example") == Login("a", "b")


def test_an_identity_token_is_found_in_a_file_and_in_a_helper(tmp_path: Path) -> None:
    files = files_of(
        tmp_path, {"auths": {"r.example": {"auth": "YTo=", "identitytoken": "it"}}, "credHelpers": {"h": "x"}}
    )
    assert files.find("r.example") == Login(identity_token="it")
    (tmp_path / "secret").write_text('{"Username": "<token>", "Secret": "it2"}')
    assert files.find("h") == Login(identity_token="it2")
