"""What is measured of copies to another storage: how long a registry has to be read-only for the last round."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import client
import load
from content import KIB, Blob
from figures import AtMost, Figure, Series
from import_works import config_of
from load import LoadError
from stage import FULL, Stage
from subjects import Daemon, environment

_COPY = (sys.executable, "-m", "moorage", "storage", "copy", "--json")

BLOBS = 5_000
QUICK_BLOBS = 1000
ROUNDS = 3
BLOB_BYTES = 4 * KIB
MEANWHILE = 200
"""Blobs that are pushed once the copy is up to date, and before it is told to end."""
CONNECTIONS = 16
S_LIMIT = 5.0


def follow(stage: Stage) -> list[Figure]:
    """A copy that follows a registry with a database; then the same by a copy that looks at everything again."""
    count = BLOBS if stage.plan is FULL else QUICK_BLOBS
    title = f"storage copy --follow, {count:,} blobs: the last round, after {MEANWHILE} more were pushed"
    found = []
    for subject in stage.databases:
        blobs = stage.pool.blobs(count + ROUNDS * MEANWHILE, BLOB_BYTES, step=KIB)
        last_rounds, repeats = [], []
        with stage.running(subject) as (daemon,):
            stage.say(f"{title}, {subject.store}: pushing")
            pushed, blobs = blobs[:count], blobs[count:]
            _push(daemon, pushed)
            source = config_of(subject, daemon.folder, sqlite="data/moorage.db")
            with tempfile.TemporaryDirectory(prefix="copied-", dir=stage.scratch) as folder:
                target = _target(Path(folder))
                for number in range(ROUNDS):
                    stage.say(f"{title}, {subject.store}: round {number + 1} of {ROUNDS}")
                    new = blobs[number * MEANWHILE : (number + 1) * MEANWHILE]
                    last_rounds.append(_followed(daemon, source, target, new))
                    repeats.append(_copied(source, target))
        found.append(
            Figure(
                work="storage-copy",
                title=title,
                store=subject.store,
                against="storage copy, repeated",
                judged=Series("s", repeats, last_rounds),
                target=AtMost(S_LIMIT),
            )
        )
    return found


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {"storage-copy": follow}


def _target(folder: Path) -> Path:
    path = folder / "target.yml"
    storage = {"filesystem": {"rootdirectory": str(folder / "data")}}
    path.write_text(json.dumps({"version": "0.1", "storage": storage}))
    return path


def _followed(daemon: Daemon, source: Path, target: Path, new: Sequence[Blob]) -> float:
    """Seconds of the last round of a copy that was up to date before the blobs of *new* were pushed."""
    with subprocess.Popen(
        [*_COPY, "--follow", str(source), str(target)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "up to date" in line:
                break
        _push(daemon, new)
        process.send_signal(signal.SIGINT)
        said, wrong = process.communicate()
    return float(_read(said, wrong)["last_round_seconds"])  # type: ignore[arg-type] # a number


def _push(daemon: Daemon, blobs: Sequence[Blob]) -> None:
    shared = iter(blobs)
    load.run(daemon.address, [client.push(shared) for _ in range(CONNECTIONS)])


def _copied(source: Path, target: Path) -> float:
    done = subprocess.run(
        [*_COPY, str(source), str(target)], capture_output=True, text=True, check=False, env=environment()
    )
    return float(_read(done.stdout, done.stderr)["seconds"])  # type: ignore[arg-type] # as above


def _read(said: str, wrong: str) -> Mapping[str, object]:
    found: dict[str, object] = json.loads(said) if said else {}
    if not found.get("ok"):
        msg = f"the copy did not end well:\n{said[-2000:]}{wrong[-2000:]}"
        raise LoadError(msg)
    return found
