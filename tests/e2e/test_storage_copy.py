"""``moorage storage copy`` as an administrator runs it: a registry moves house, and clients pull and push all along."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from e2e.images import build_image, build_index, write_layout
from e2e.wire import Wire, eventually
from support.clients import Skopeo
from support.commands import moorage
from support.daemon import Daemon
from support.s3_stores import new_root, seaweed

DEADLINE_S = 200.0
READ_ONLY = {"readonly": {"enabled": True}}


def config(folder: Path, storage: Mapping[str, object], **sections: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yml"
    tree = {"version": 0.1, "storage": {**storage, "redirect": {"disable": True}}, "database": {"enabled": False}}
    path.write_text(yaml.safe_dump({**tree, **sections}))
    return path


def in_folder(folder: Path) -> dict[str, object]:
    return {"filesystem": {"rootdirectory": str(folder)}, "delete": {"enabled": True}}


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "moorage", "storage", *map(str, words)]


def run(*words: str | Path, status: int = 0) -> dict[str, Any]:
    ended = moorage("storage", *words, "--json", timeout_s=DEADLINE_S)
    assert ended.returncode == status, (ended.returncode, ended.stdout, ended.stderr[-4000:])
    assert "Traceback" not in ended.stdout + ended.stderr
    return json.loads(ended.stdout) if ended.stdout else {"error": ended.stderr}


def s3_bucket() -> dict[str, object]:
    server = seaweed()
    keys = {"accesskey": server.access_key, "secretkey": server.secret_key, "bucket": server.bucket}
    return {"s3": {**keys, "region": "us-east-1", "regionendpoint": server.url, "rootdirectory": new_root()}}


class Pulling:
    """A client that pulls one image again and again, and remembers what went wrong; it also pushes where it can."""

    def __init__(self, skopeo: Skopeo, reference: str) -> None:
        self._skopeo, self._reference = skopeo, reference
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        self.pulls = 0
        self.failed: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(DEADLINE_S)
        assert self.failed == []
        assert self.pulls > 0

    def _go_on(self) -> None:
        target = self._skopeo.folder / "pulled"
        while not self._ended.is_set() or not self.pulls:
            status, said = self._skopeo.attempt(
                "copy", *Skopeo.plain, "--preserve-digests", f"docker://{self._reference}", f"dir:{target}"
            )
            self.pulls += 1
            if status:
                self.failed.append(said)


def test_a_registry_moves_to_a_bucket_and_back_while_clients_pull_and_push(skopeo: Skopeo, tmp_path: Path) -> None:
    first, second = build_index("first"), build_image("second", layer_bytes=1 << 20)
    layout = write_layout(tmp_path / "images", {"first": first, "second": second})
    old, new = in_folder(tmp_path / "old"), {**s3_bucket(), "delete": {"enabled": True}}
    source, target = config(tmp_path / "source", old), config(tmp_path / "target", new)
    with Daemon(tmp_path / "one", config=source.read_text(), has_folder=False) as daemon:
        skopeo.copy(f"oci:{layout}:first", f"docker://{daemon.address}/group/app:1", "--all")
        with Pulling(skopeo, f"{daemon.address}/group/app:1"):
            run("copy", source, target)
        skopeo.copy(f"oci:{layout}:second", f"docker://{daemon.address}/group/app:2")
        Wire(daemon.address).delete("group/app", "manifests", first.manifest.digest)
    with Daemon(
        tmp_path / "two",
        config=config(tmp_path / "ro", {**old, "maintenance": READ_ONLY}).read_text(),
        has_folder=False,
    ) as daemon:
        assert Wire(daemon.address).request("POST", "/v2/group/app/blobs/uploads/").status == 405
        with Pulling(skopeo, f"{daemon.address}/group/app:2"):
            done = run("copy", source, target, "--delete")
    assert done["source"] == done["target"]
    assert done["deleted"]["tags"] == 1
    with Daemon(tmp_path / "three", config=target.read_text(), has_folder=False) as daemon:
        assert Wire(daemon.address).tags("group/app") == ["2"]
        skopeo.copy(f"docker://{daemon.address}/group/app:2", f"dir:{tmp_path / 'second'}")
        skopeo.copy(f"oci:{layout}:first", f"docker://{daemon.address}/group/app:3", "--all")
    back = config(tmp_path / "back", in_folder(tmp_path / "new"))
    assert run("copy", target, back)["ok"]
    with Daemon(tmp_path / "four", config=back.read_text(), has_folder=False) as daemon:
        skopeo.copy(f"docker://{daemon.address}/group/app:3", f"dir:{tmp_path / 'third'}", "--all")
        skopeo.copy(f"docker://{daemon.address}/group/app:2", f"dir:{tmp_path / 'again'}")


def test_a_copy_that_was_killed_goes_on(tmp_path: Path) -> None:
    source = config(tmp_path / "source", in_folder(tmp_path / "old"))
    target = config(tmp_path / "target", in_folder(tmp_path / "new"))
    with Daemon(tmp_path / "one", config=source.read_text(), has_folder=False) as daemon:
        for number in range(3):
            Wire(daemon.address).push_image("group/app", str(number), build_image(f"i{number}", layer_bytes=200_000))
    slow = subprocess.Popen(command("copy", source, target, "--rate-limit", "100kB"), stderr=subprocess.DEVNULL)
    blobs = tmp_path / "new" / "docker" / "registry" / "v2" / "blobs"
    eventually("a blob is there", lambda: any(blobs.rglob("data")), within_s=DEADLINE_S)
    slow.send_signal(signal.SIGKILL)
    slow.wait(DEADLINE_S)
    done = run("copy", source, target)
    assert done["source"] == done["target"]
    assert 0 < done["copied"]["blobs"]["objects"] < done["target"]["blobs"]["objects"]
    scratch = tmp_path / "new" / "docker" / "registry" / "moorage" / "copying"
    assert not [path for path in scratch.rglob("*") if path.is_file()]


def test_a_copy_follows_what_is_pushed_until_it_is_told_to_end(tmp_path: Path) -> None:
    kept = {"enabled": True, "sqlite": str(tmp_path / "registry.db")}
    source = config(tmp_path / "source", in_folder(tmp_path / "old"), database=kept)
    target = config(tmp_path / "target", in_folder(tmp_path / "new"), database=kept)
    first, second = build_image("first"), build_image("second")
    with Daemon(tmp_path / "one", config=source.read_text(), has_folder=False) as daemon:
        wire = Wire(daemon.address)
        wire.push_image("group/app", "1", first)
        following = subprocess.Popen(
            command("copy", source, target, "--follow", "--json"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        path = tmp_path / "new" / "docker" / "registry" / "v2" / "blobs" / "sha256"

        def has(digest: str) -> bool:
            encoded = digest.partition(":")[2]
            return (path / encoded[:2] / encoded / "data").exists()

        eventually("the first is there", lambda: has(first.layers[0].digest), within_s=DEADLINE_S)
        wire.push_image("group/app", "2", second)
        eventually("the second has followed", lambda: has(second.layers[0].digest), within_s=DEADLINE_S)
    following.send_signal(signal.SIGTERM)
    assert following.stdout is not None
    with following.stdout:
        done = json.loads(following.stdout.read())
    assert following.wait(DEADLINE_S) == 0
    assert done["source"] == done["target"]
    assert done["rounds"] >= 2
    with Daemon(tmp_path / "two", config=target.read_text(), has_folder=False) as daemon:
        assert Wire(daemon.address).tags("group/app") == ["1", "2"]
        assert Wire(daemon.address).blob("group/app", second.layers[0].digest).body == second.layers[0].content
