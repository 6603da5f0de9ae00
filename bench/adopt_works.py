"""What is measured of adoptions: what those feel who pull what is not taken over yet."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import client
import load
import offline_works
from figures import AtMost, Figure, Series, percentile
from load import LoadError
from stage import FULL, Stage
from subjects import Daemon, MoorageConfigured, MoorageOnLayout, MoorageOnPostgres, environment

_MOORAGE = (sys.executable, "-m", "moorage")

REPOSITORIES = 1000
QUICK_REPOSITORIES = 200
MANIFESTS = 4
"""In each repository, each with a tag."""
CONNECTIONS = 4
WORSE_LIMIT = 3.0
ROUNDS = 3


class _Adopting(MoorageConfigured):
    """Moorage that takes over the folder *data* into an empty SQLite file."""

    store = "SQLite"

    def __init__(self, workers: int, data: Path) -> None:
        super().__init__(workers)
        self._data = data

    def prepare(self, folder: Path) -> None:
        """Put the shared folder in the place of an empty one, as it was before anybody adopted it."""
        super().prepare(folder)
        _link(folder, self._data)

    def _database(self, folder: Path) -> dict[str, object]:
        return {"enabled": True, "adopt": True, "sqlite": str(folder / "moorage.db")}


class _AdoptingPostgres(MoorageOnPostgres):
    """The same into an empty database of PostgreSQL."""

    def __init__(self, workers: int, data: Path, stage: Stage) -> None:
        server = next(subject.database for subject in stage.databases if subject.database is not None)
        super().__init__(workers, server)
        self._data = data

    def prepare(self, folder: Path) -> None:
        """As for SQLite, and the tables are made."""
        super().prepare(folder)
        _link(folder, self._data)

    def _database(self, folder: Path) -> dict[str, object]:
        return {**(super()._database(folder) or {}), "adopt": True}


class _Layout(MoorageOnLayout):
    """Moorage on the folder *data*, without a database."""

    def __init__(self, workers: int, data: Path) -> None:
        super().__init__(workers)
        self._data = data

    def prepare(self, folder: Path) -> None:
        """Put the shared folder in the place of an empty one."""
        _link(folder, self._data)


def pulls(stage: Stage) -> list[Figure]:
    """Pulls from repositories that nobody has taken over, while the rest is taken; and the same from `layout`."""
    repositories = REPOSITORIES if stage.plan is FULL else QUICK_REPOSITORIES
    title = f"pulls of what is not taken over yet, {repositories:,} repositories of {MANIFESTS} manifests"
    found = []
    with _folder(stage, repositories) as data:
        asked = _asked(data, repositories)
        for subject in (_Adopting(stage.workers, data), _AdoptingPostgres(stage.workers, data, stage)):
            layout_ms, adopting_ms, not_taken = [], [], []
            for number in range(ROUNDS + 1):
                stage.say(f"{title}, {subject.store}: {f'round {number} of {ROUNDS}' if number else 'warming up'}")
                with stage.running(_Layout(stage.workers, data)) as (daemon,):
                    quiet = _p99_ms(daemon, asked)
                with stage.running(subject) as (daemon,):
                    busy = _p99_ms(daemon, asked)
                    left = _not_taken(daemon, repositories)
                if number:
                    layout_ms.append(quiet)
                    adopting_ms.append(busy)
                    not_taken.append(left)
            worse = [busy / quiet for busy, quiet in zip(adopting_ms, layout_ms, strict=True)]
            found.append(
                Figure(
                    work="adopt-pulls",
                    title=title,
                    store=subject.store,
                    judged=Series("p99 / p99 of layout", [], worse),
                    target=AtMost(WORSE_LIMIT),
                    others=[
                        Series("ms, p99", [], adopting_ms),
                        Series("ms, p99 of layout", [], layout_ms),
                        Series("% not taken over at the end", [], not_taken),
                    ],
                )
            )
    return found


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {"adopt-pulls": pulls}


def _link(folder: Path, data: Path) -> None:
    for noted in ("lockfiles", "moorage"):
        shutil.rmtree(data / "docker/registry" / noted, ignore_errors=True)
    (folder / "data").rmdir()
    (folder / "data").symlink_to(data)


@contextlib.contextmanager
def _folder(stage: Stage, repositories: int) -> Iterator[Path]:
    stage.say(f"adopt-pulls: writing {repositories} repositories")
    folder = Path(tempfile.mkdtemp(prefix="adopted-", dir=stage.scratch))
    try:
        for number in range(repositories):
            offline_works.write_repository(f"{folder}/data", _name(number), tags=1, manifests=MANIFESTS)
        os.sync()  # What was written is not to be paid for by who comes next.
        yield folder / "data"
    finally:
        shutil.rmtree(folder)


def _name(number: int) -> str:
    return f"group{number % 20}/app{number}"


def _asked(data: Path, repositories: int) -> list[str]:
    """Paths of a manifest and its configuration in each repository, which is touched for the first time so.

    The walk goes by name; who pulls begins at its end.
    """
    names = sorted((_name(number) for number in range(repositories)), reverse=True)
    paths = []
    for name in names:
        link = data / "docker/registry/v2/repositories" / name / "_manifests/tags/v0.0/current/link"
        digest = link.read_text()
        payload = data / "docker/registry/v2/blobs/sha256" / digest[7:9] / digest[7:] / "data"
        blob = json.loads(payload.read_bytes())["config"]["digest"]
        paths += [f"/v2/{name}/manifests/v0.0", f"/v2/{name}/blobs/{blob}"]
    return paths


def _p99_ms(daemon: Daemon, asked: Sequence[str]) -> float:
    latencies_s: defaultdict[str, list[float]] = defaultdict(list)
    shares = [[("pull", path) for path in asked[start::CONNECTIONS]] for start in range(CONNECTIONS)]
    load.run(daemon.address, [_once(share, latencies_s["pull"]) for share in shares])
    return 1000 * percentile(latencies_s["pull"], 0.99)


def _once(asked: Sequence[tuple[str, str]], latencies_s: list[float]) -> load.Script:
    for _, path in asked:
        began = time.perf_counter()
        answer = yield load.request("GET", path, client.ACCEPT)
        latencies_s.append(time.perf_counter() - began)
        load.expect(answer, 200)
    return len(asked)


def _not_taken(daemon: Daemon, repositories: int) -> float:
    """Percent of the repositories that were still in link files only after the last pull."""
    command = [*_MOORAGE, "database", "adopt", "status", "--json", str(daemon.folder / "config.yml")]
    said = subprocess.run(command, capture_output=True, text=True, cwd=daemon.folder, env=environment(), check=False)
    try:
        taken = int(json.loads(said.stdout)["taken"])
    except (ValueError, KeyError) as exc:
        msg = f"{command!r}:\n{said.stdout[-2000:]}{said.stderr[-2000:]}"
        raise LoadError(msg) from exc
    return 100 * (repositories - taken) / repositories
