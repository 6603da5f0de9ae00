"""A backup of everything that ``moorage up`` has, made while pushes go on, and brought back onto an empty folder."""

import base64
import contextlib
import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from moorage.backup.backup_folder import BackupFolder
from support import commands
from support.images import Image, push_image
from support.registry_client import RegistryClient
from support.standalone import Standalone

DEADLINE_S = 300.0
PROJECT = "root/app"
BUSY_IMAGES = 15


def moorage(*words: str) -> subprocess.CompletedProcess[str]:
    return commands.moorage(*words, timeout_s=DEADLINE_S)


def backed_up(up: Standalone, folder: Path) -> subprocess.CompletedProcess[str]:
    return moorage("backup", str(folder), "--config", str(up.data / "config.yml"), "--json")


def client_of(up: Standalone, password: str) -> RegistryClient:
    query = urlencode({"service": "container_registry", "scope": f"repository:{PROJECT}:pull,push"})
    request = urllib.request.Request(f"{up.url}/jwt/auth?{query}")
    request.add_header("Authorization", f"Basic {base64.b64encode(f'root:{password}'.encode()).decode()}")
    with urllib.request.urlopen(request) as answer:
        token = json.load(answer)["token"]
    return RegistryClient(up.registry, headers={"Authorization": f"Bearer {token}"})


def what_is_known(up: Standalone) -> list[object]:
    """Users and policies, as the tables have them."""
    with contextlib.closing(sqlite3.connect(up.data / "control.db")) as connection:
        users = connection.execute("SELECT id, username, password FROM accounts_user ORDER BY id").fetchall()
        return [*users, *connection.execute("SELECT * FROM policies_cleanuppolicy").fetchall()]


@contextlib.contextmanager
def pushes(up: Standalone, password: str) -> Iterator[dict[str, Image]]:
    """Push image after image until the block ends; gives those whose push was acknowledged, by tag."""
    done: dict[str, Image] = {}
    stop = threading.Event()

    def push() -> None:
        with contextlib.closing(client_of(up, password)) as client:
            while not stop.is_set() and len(done) < BUSY_IMAGES:
                tag = f"busy-{len(done)}"
                done[tag] = push_image(client, PROJECT, tag)

    thread = threading.Thread(target=push)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join(DEADLINE_S)


def killed_in_the_middle(up: Standalone, folder: Path, held: Path) -> None:
    """Begin a backup, and kill it while it waits for the blob *held*, which somebody keeps to himself by a lease."""
    handler = signal.signal(signal.SIGIO, signal.SIG_IGN)  # By it the system asks for the blob.
    kept = os.open(held, os.O_RDWR)
    fcntl.fcntl(kept, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    command = [sys.executable, "-m", "moorage", "backup", str(folder), "--config", str(up.data / "config.yml")]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not list(folder.glob("blobs/*/*/*")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(kept)
        signal.signal(signal.SIGIO, handler)


def test_what_was_pushed_is_served_from_an_empty_folder_with_its_users_and_policies(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    with Standalone(tmp_path / "before") as up:
        password = up.password
        with contextlib.closing(client_of(up, password)) as client:
            first = {f"v{number}": push_image(client, PROJECT, f"v{number}") for number in range(4)}
        up.command("user", "create", "ada", "--email", "ada@example.com")
        assert up.command("policy", "set", PROJECT, "--enabled", "--keep-n", "10").returncode == 0
        known = what_is_known(up)
        blobs = sorted((up.data / "registry").rglob("data"), key=lambda path: path.parent.name)
        killed_in_the_middle(up, folder, blobs[-1])
        assert BackupFolder(folder).names() == []
        copied_before = len(list(folder.glob("blobs/*/*/*")))
        with pushes(up, password) as busy:
            while not busy:
                time.sleep(0.02)
            acknowledged = dict(busy)
            made = backed_up(up, folder)
        assert made.returncode == 0, made.stderr
        record = json.loads(made.stdout)
        assert record["problem_count"] == 0
        assert record["blobs"]["copied"] <= record["blobs"]["count"] - copied_before
        verified = moorage("backup", "verify", str(folder), "--json")
        assert verified.returncode == 0, verified.stdout
        report = json.loads(verified.stdout)
        assert report["images"] >= 5
        assert report["pulled_blobs"] >= 10
        ports = tuple(int(address.rpartition(":")[2]) for address in (up.registry, up.control))
    after = Standalone(tmp_path / "after", ports=(ports[0], ports[1]))
    restored = moorage("restore", str(folder), "--into", str(after.data))
    assert restored.returncode == 0, restored.stderr
    with after:
        assert what_is_known(after) == known
        with contextlib.closing(client_of(after, password)) as client:
            for tag, image in {**first, **acknowledged}.items():
                assert client.get_manifest(PROJECT, tag).headers.get("Docker-Content-Digest") == image.digest
                for blob in image.blobs:
                    assert client.get_blob(PROJECT, blob.digest).body == blob.body
