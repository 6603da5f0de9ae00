"""What is measured of checks: reading and hashing everything, against OpenSSL on the same files."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import client
from content import GIB, MIB, Blob
from figures import Figure, Series, TimesBetter
from load import LoadError
from stage import Stage

BLOBS = 64
BLOB_BYTES = 64 * MIB
LIMIT_TIMES = 1.3

_MOORAGE = (sys.executable, "-m", "moorage", "check", "--verify-digests", "--json")
_OPENSSL = ("openssl", "dgst", "-sha256", "-r")


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of one command, from its start to its end."""

    cpu_s: float
    wall_s: float
    said: str


def verify(stage: Stage) -> list[Figure]:
    """Blobs whose pages are in memory: the digest of each, by both. What each takes to start is not subtracted."""
    if not stage.stores:
        return []
    subject = stage.stores[0]
    title = f"digest verification, {BLOBS} blobs of {BLOB_BYTES // MIB} MiB"
    runs: tuple[list[Ran], list[Ran]] = ([], [])
    with stage.running(subject) as (daemon,):
        stage.say(f"{title}: writing them")
        blobs = stage.pool.blobs(BLOBS, BLOB_BYTES, step=MIB)
        client.prepare_blobs(daemon, blobs)
        data = daemon.folder / "data"
        commands = [[*_OPENSSL, *map(str, _paths(data, blobs))], [*_MOORAGE, "--data", str(data)]]
        order = [0, 1]
        for number in range(stage.plan.rounds + 1):
            stage.say(f"{title}: {f'round {number} of {stage.plan.rounds}' if number else 'warming up'}")
            os.sync()
            for side in order:
                ran = _run(commands[side], daemon.folder)
                _check(ran, side, blobs)
                if number:
                    runs[side].append(ran)
            order.reverse()
    gib = BLOBS * BLOB_BYTES / GIB
    theirs, ours = runs
    cpu = Series("CPU s/GiB", [ran.cpu_s / gib for ran in theirs], [ran.cpu_s / gib for ran in ours])
    wall = Series("s/GiB, on all cores", [ran.wall_s / gib for ran in theirs], [ran.wall_s / gib for ran in ours])
    target = TimesBetter(round(1 / LIMIT_TIMES, 2))
    return [
        Figure(
            work="check",
            title=title,
            store=subject.store,
            against="openssl dgst -sha256",
            judged=cpu,
            target=target,
            others=[wall],
        )
    ]


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {"check": verify}


def _paths(data: Path, blobs: Sequence[Blob]) -> list[Path]:
    encoded = [blob.digest.removeprefix("sha256:") for blob in blobs]
    return [data / "docker/registry/v2/blobs/sha256" / name[:2] / name / "data" for name in encoded]


def _run(command: Sequence[str], folder: Path) -> Ran:
    output = folder / "said"
    with output.open("wb") as file:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=folder)
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    said = output.read_text(errors="replace")
    if process.returncode:
        msg = f"{command[:5]!r} ended with {process.returncode}:\n{said[-2000:]}"
        raise LoadError(msg)
    return Ran(used.ru_utime + used.ru_stime, wall_s, said)


def _check(ran: Ran, side: int, blobs: Sequence[Blob]) -> None:
    """Both have read all of it."""
    expected = f'"hashed_bytes": {BLOBS * BLOB_BYTES},'
    is_whole = expected in ran.said if side else all(blob.digest.removeprefix("sha256:") in ran.said for blob in blobs)
    if not is_whole:
        msg = f"not everything was read:\n{ran.said[-2000:]}"
        raise LoadError(msg)
