"""Variables without a file: what they close is closed, in `serve` and in `garbage-collect`."""

import os
import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest

from e2e.images import build_image
from e2e.wire import Wire
from support.daemon import Daemon


def moorage(*args: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "moorage", *args]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **environ}
    )


def test_a_password_file_named_by_variables_keeps_strangers_out(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"ann:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")
    environ = {
        "REGISTRY_AUTH": "htpasswd",
        "REGISTRY_AUTH_HTPASSWD_REALM": "Registry",
        "REGISTRY_AUTH_HTPASSWD_PATH": str(users),
    }
    with Daemon(tmp_path, env=environ) as daemon:
        assert Wire(daemon.address).request("GET", "/v2/").status == 401


@pytest.mark.parametrize(
    "environ",
    [
        {"REGISTRY_STORAGE_MAINTENANCE_READONLY": "{enabled: true}"},
        {"REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED": "true"},
    ],
)
def test_read_only_by_a_variable_takes_no_push(environ: dict[str, str], tmp_path: Path) -> None:
    with Daemon(tmp_path, env=environ) as daemon:
        wire = Wire(daemon.address)
        assert wire.request("GET", "/v2/").status == 200
        assert wire.request("POST", "/v2/t/app/blobs/uploads/").status == 405


def test_a_mirror_by_a_variable_does_not_start(tmp_path: Path) -> None:
    ended = moorage("serve", "--data", str(tmp_path), REGISTRY_PROXY_REMOTEURL="https://registry-1.docker.io")
    assert (ended.returncode, "error: proxy.remoteurl" in ended.stderr) == (1, True)


def test_garbage_is_collected_where_the_variables_say_and_at_every_level(tmp_path: Path) -> None:
    environ = {
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(tmp_path / "data"),
        "REGISTRY_DATABASE_ENABLED": "false",
        "REGISTRY_LOG_LEVEL": "trace",
    }
    with Daemon(tmp_path, env=environ) as daemon:
        wire, image = Wire(daemon.address), build_image("variables")
        wire.push_image("t/kept", "1", build_image("kept"))
        for blob in image.blobs:
            wire.push_blob("t/app", blob.content)
    ended = moorage("garbage-collect", "--json", **environ)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)
    assert f'"blobs_deleted": {len(image.blobs)}' in ended.stdout


def test_garbage_collect_says_a_mistake_in_a_variable(tmp_path: Path) -> None:
    ended = moorage(
        "garbage-collect", REGISTRY_HTTP_PREFIX="x", REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=str(tmp_path)
    )
    assert ended.returncode == 1
    assert "the value is that of REGISTRY_HTTP_PREFIX" in ended.stderr
