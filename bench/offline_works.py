"""What is measured of offline garbage collection: mark and sweep of the same folder by both commands."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from content import SEED
from figures import Figure, Series, TimesBetter
from load import LoadError
from stage import FULL, Stage

REPOSITORIES = 200
MANIFESTS = 100
"""In each repository."""
BLOBS = 5
"""Of each manifest: its config and four layers. All differ: sharing makes less work, not other work."""
UNTAGGED_EVERY = 5
QUICK_REPOSITORIES = 20
ROUNDS = 3

TIMES = 3

_V2 = "docker/registry/v2"


@dataclass(frozen=True, slots=True)
class Collected:
    """One run of one command."""

    cpu_s: float
    wall_s: float
    blobs_left: int


def collect(stage: Stage) -> list[Figure]:
    """``garbage-collect -m`` over a folder in which every fifth manifest is untagged."""
    repositories = REPOSITORIES if stage.plan is FULL else QUICK_REPOSITORIES
    manifests = repositories * MANIFESTS
    title = f"garbage-collect -m, {manifests * BLOBS:,} blobs in {manifests:,} manifests, a fifth of them untagged"
    commands = [("docker-registry",), (sys.executable, "-m", "moorage")]
    runs: list[list[Collected]] = [[], []]
    order = [0, 1]
    for number in range(1, ROUNDS + 1):
        for side in order:
            stage.say(f"{title}: round {number} of {ROUNDS}, writing the folder")
            with _folder(stage.scratch, repositories) as folder:
                stage.say(f"{title}: round {number} of {ROUNDS}, {commands[side][0]}")
                runs[side].append(run_collection(commands[side], folder))
        order.reverse()
    left = {run.blobs_left for side in runs for run in side}
    if left != {manifests * (BLOBS + 1) * (UNTAGGED_EVERY - 1) // UNTAGGED_EVERY}:
        msg = f"{title}: {left} blobs are left"
        raise LoadError(msg)
    theirs, ours = runs
    cpu = Series("CPU s", [run.cpu_s for run in theirs], [run.cpu_s for run in ours])
    wall = Series("s", [run.wall_s for run in theirs], [run.wall_s for run in ours])
    return [
        Figure(work="offline-gc", title=title, store="layout", judged=judged, target=TimesBetter(TIMES))
        for judged in (cpu, wall)
    ]


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {"offline-gc": collect}


@contextlib.contextmanager
def _folder(scratch: Path, repositories: int) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="collected-", dir=scratch))
    try:
        for number in range(repositories):
            write_repository(f"{folder}/data", f"group{number % 20}/app{number}")
        os.sync()  # What was written is not to be paid for by who comes next.
        yield folder
    finally:
        shutil.rmtree(folder)


def write_repository(
    data: str, name: str, *, tags: int | None = None, manifests: int = MANIFESTS, blobs_each: int = BLOBS
) -> None:
    """Write a repository of *manifests* into Distribution's folder *data*.

    *tags*: so many for each manifest; None: one, and none for every fifth. *blobs_each*: of each manifest.
    """
    root = f"{data}/{_V2}"
    repository = f"{root}/repositories/{name}"
    for number in range(manifests):
        blobs = [f"{SEED} {name} {number} {blob}".encode() * 10 for blob in range(blobs_each)]
        digests = [_write_blob(root, blob) for blob in blobs]
        for digest in digests:
            _write(f"{repository}/_layers/sha256/{digest}/link", f"sha256:{digest}".encode())
        digest = _write_blob(root, _payload(digests, [len(blob) for blob in blobs]))
        link = f"sha256:{digest}".encode()
        _write(f"{repository}/_manifests/revisions/sha256/{digest}/link", link)
        if tags is not None:
            for tag_number in range(tags):
                tag = f"{repository}/_manifests/tags/v{number}.{tag_number}"
                _write(f"{tag}/index/sha256/{digest}/link", link)
                _write(f"{tag}/current/link", link)
            continue
        # Every fifth manifest had the tag of the one after it, until that moved on.
        tag = f"{repository}/_manifests/tags/v{number + (number % UNTAGGED_EVERY == 0)}"
        _write(f"{tag}/index/sha256/{digest}/link", link)
        if number % UNTAGGED_EVERY:
            _write(f"{tag}/current/link", link)


def _write_blob(root: str, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    _write(f"{root}/blobs/sha256/{digest[:2]}/{digest}/data", content)
    return digest


def _write(path: str, content: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - a Path costs more than the call
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123 - as above
        file.write(content)


def _payload(digests: Sequence[str], sizes: Sequence[int]) -> bytes:
    config, *layers = [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": f"sha256:{digest}", "size": size}
        for digest, size in zip(digests, sizes, strict=True)
    ]
    config["mediaType"] = "application/vnd.oci.image.config.v1+json"
    media_type = "application/vnd.oci.image.manifest.v1+json"
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers}).encode()


def run_collection(command: Sequence[str], folder: Path) -> Collected:
    """Collect the garbage of ``data`` in *folder* by *command*, which is docker-registry's or ours.

    Raises:
        LoadError: it failed.
    """
    configuration = folder / "config.yml"
    data = folder / "data"
    configuration.write_text(
        json.dumps(
            {
                "version": "0.1",
                "log": {"level": "warn"},
                "storage": {"filesystem": {"rootdirectory": str(data)}},
                "http": {"addr": "127.0.0.1:0"},
            }
        )
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
    with (folder / "log").open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            [*command, "garbage-collect", "-m", str(configuration)], stdout=log, stderr=log, env=environment
        )
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        msg = f"{command!r}:\n{(folder / 'log').read_text(errors='replace')[-2000:]}"
        raise LoadError(msg)
    left = sum(len(files) for _, _, files in os.walk(data / _V2 / "blobs"))
    return Collected(used.ru_utime + used.ru_stime, wall_s, left)
