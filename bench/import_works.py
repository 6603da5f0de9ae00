"""What is measured of imports: how many tags a second come from link files into each database, and the memory."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from figures import AtMost, Figure, Series
from load import LoadError
from offline_works import MANIFESTS, write_repository
from stage import FULL, Stage
from subjects import Subject, environment

_MOORAGE = (sys.executable, "-m", "moorage")

REPOSITORIES = 200
QUICK_REPOSITORIES = 10
TAGS = 5
"""Of each manifest."""
MS_LIMIT = 0.5
"""Milliseconds for each tag, with its share of manifests and blobs: 2,000 tags a second."""


def take_over(stage: Stage) -> list[Figure]:
    """A full import of a folder in which every manifest has five tags, into each database."""
    repositories = REPOSITORIES if stage.plan is FULL else QUICK_REPOSITORIES
    tags = repositories * MANIFESTS * TAGS
    title = f"database import, {tags:,} tags of {repositories * MANIFESTS:,} manifests"
    found = []
    for subject in stage.databases:
        stage.say(f"{title}, {subject.store}: writing the folder")
        with _folder(stage.scratch, repositories) as folder:
            stage.say(f"{title}, {subject.store}")
            subject.prepare(folder)
            took_s, cpu_s, peak_bytes = import_folder(config_of(subject, folder), folder, tags)
        judged = Series("ms for each tag", [], [1000 * took_s / tags])
        others = [
            Series("tags/s", [], [tags / took_s], is_higher_better=True),
            Series("CPU s", [], [cpu_s]),
            Series("MiB of memory at most", [], [peak_bytes / (1 << 20)]),
        ]
        found.append(
            Figure(
                work="import", title=title, store=subject.store, judged=judged, target=AtMost(MS_LIMIT), others=others
            )
        )
    return found


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {"import": take_over}


@contextmanager
def _folder(scratch: Path, repositories: int) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="imported-", dir=scratch))
    try:
        for number in range(repositories):
            write_repository(f"{folder}/data", f"group{number % 20}/app{number}", tags=TAGS)
        os.sync()  # What was written is not to be paid for by who comes next.
        yield folder
    finally:
        shutil.rmtree(folder)


def config_of(subject: Subject, folder: Path, *, sqlite: str = "moorage.db") -> Path:
    """The configuration of the subject on the folder; SQLite's subject has none by itself, but the file *sqlite*."""
    words = subject.command(("127.0.0.1", 0), folder)
    named = [word for word in words if word.endswith(".yml")]
    if named:
        return Path(named[0])
    path = folder / "config.yml"
    storage = {"filesystem": {"rootdirectory": str(folder / "data")}}
    database = {"enabled": True, "sqlite": str(folder / sqlite)}
    path.write_text(json.dumps({"version": "0.1", "storage": storage, "database": database}))
    return path


def import_folder(config: Path, folder: Path, tags: int) -> tuple[float, float, int]:
    """Seconds, seconds of the processor, and the largest memory of a whole import.

    Raises:
        LoadError: it failed, or took over another number of tags.
    """
    command: Sequence[str] = (*_MOORAGE, "database", "import", "--json", "-l", str(config))
    with (folder / "answer").open("wb") as answer, (folder / "log").open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=answer, stderr=log, cwd=folder, env=environment())
        _, status, used = os.wait4(process.pid, 0)
        took_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        msg = f"{command!r}:\n{(folder / 'log').read_text(errors='replace')[-2000:]}"
        raise LoadError(msg)
    found = json.loads((folder / "answer").read_bytes())
    if (found["tags"], found["left_out_count"]) != (tags, 0):
        msg = f"{found['tags']} tags were taken over, {found['left_out_count']} things left out"
        raise LoadError(msg)
    return took_s, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
