"""``moorage up``: from an empty folder to registry and accounts, and back to them at the next start."""

import contextlib
import json
import signal
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Daemon
from support.images import push_image
from support.registry_client import RegistryClient
from support.standalone import Standalone


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with Standalone(tmp_path_factory.mktemp("up")) as running:
        yield running


def test_both_answer_and_the_lines_to_type_next_are_printed(up: Standalone) -> None:
    assert up.status(f"{up.url}/-/readiness") == 200
    assert up.status(f"http://{up.registry}/v2/") == 401
    printed = up.printed()
    assert printed[1:3] == [f"Accounts and projects are at {up.url}", f"Everything is in {up.data}"]
    assert [line.split()[:2] for line in printed if line.startswith("  ")] == [
        ["docker", "login"],
        ["docker", "tag"],
        ["docker", "push"],
    ]


def test_clients_are_sent_to_the_control_plane_for_a_token_and_it_is_no_address_that_they_refuse(
    up: Standalone,
) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://{up.registry}/v2/")
    with caught.value:
        challenge = caught.value.headers["WWW-Authenticate"]
    assert challenge == f'Bearer realm="{up.url}/jwt/auth",service="container_registry"'
    assert "new clients ask for no token" not in up.log


def test_secrets_are_for_their_owner_only(up: Standalone) -> None:
    for name in ("initial_password", "secret", "config.yml", "control.yml", "control.db", "keys/keys.json"):
        assert stat.S_IMODE((up.data / name).stat().st_mode) == 0o600, name


def test_a_token_is_made_by_command_and_shown_once(up: Standalone) -> None:
    made = up.command("token", "create", "root", "--name", "ci", "--scope", "api", "--json")
    secret = json.loads(made.stdout)["token"]
    listed = up.command("token", "list", "root", "--json")
    assert secret.startswith("glpat-")
    assert [row["name"] for row in json.loads(listed.stdout)] == ["ci"]
    assert secret not in listed.stdout
    assert secret not in up.log


def test_a_second_start_finds_everything_and_killed_outright_it_leaves_no_process(tmp_path: Path) -> None:
    with Standalone(tmp_path) as first:
        made = {file.name: file.read_bytes() for file in (first.data / "config.yml", first.data / "control.yml")}
        assert first.password
        assert first.stop(signal.SIGINT) == 0
        assert first.log.count("stopping") == 2
    changed = first.command("reset-password")
    assert changed.returncode == 0
    assert not (first.data / "initial_password").exists()
    with Standalone(tmp_path) as second:
        assert {name: (second.data / name).read_bytes() for name in made} == made
        assert "The user is root" not in second.log
        assert second.registry != first.registry  # What was written counts, and not the other port.
        assert f"http://{first.registry}" in second.printed()[0]
        assert second.stop(signal.SIGKILL) == -signal.SIGKILL  # And it waits until no process of it is left.


def test_images_of_a_registry_without_accounts_stay_and_ask_for_a_login(tmp_path: Path) -> None:
    with Daemon(tmp_path) as before:
        with contextlib.closing(RegistryClient(before.address)) as client:
            push_image(client, "group/app", "1")
        blobs = sorted(path.name for path in before.data.rglob("data"))
    with Standalone(tmp_path) as up:
        assert "has images of a registry without accounts. They stay where they are" in " ".join(up.log.split())
        assert up.status(f"http://{up.registry}/v2/group/app/manifests/1") == 401
        assert sorted(path.name for path in up.data.rglob("data")) == blobs


def test_a_port_that_is_taken_ends_both_and_is_said(up: Standalone, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "moorage",
        "up",
        str(tmp_path),
        "--addr",
        up.registry,
        "--control-addr",
        up.control,
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"error: http.addr: cannot listen on {up.registry}: Address already in use" in ended.stderr
