"""What is measured of folders of link files that grow: an offline collection, and the import into each database.

Half of the images of a folder are in one repository, the others in repositories of a hundred.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from import_works import config_of, import_folder
from offline_works import MANIFESTS, UNTAGGED_EVERY, run_collection, write_repository
from scale_works import Measured
from subjects import Subject

COLLECTION = "offline collection, for each image"
IMPORT = "import, for each image"
LINK_FILES = "link files"
BLOBS = 2
"""Of each image: its configuration and a layer. A fifth of the images has no tag, and goes in the collection."""
_LOCKS = "docker/registry/lockfiles"


def measure(scratch: Path, subjects: Sequence[Subject], size: int) -> Iterator[tuple[str, str, Measured]]:
    """Collect the garbage of a folder of *size* images, then import it into the database of each of *subjects*.

    Gives the store, the operation and what was measured, one after the other.

    Raises:
        LoadError: a command failed, or did something else.
    """
    with _folder(scratch, size) as folder:
        collected = run_collection((sys.executable, "-m", "moorage"), folder)
        yield LINK_FILES, COLLECTION, _each(collected.cpu_s, collected.wall_s, size)
        left = size - size // UNTAGGED_EVERY
        for subject in subjects:
            subject.prepare(folder)
            server = subject.database
            before_s = server.cpu_s() if server else 0.0
            took_s, cpu_s, _ = import_folder(config_of(subject, folder), folder, left)
            more_s = server.cpu_s() - before_s if server else 0.0
            yield subject.store, IMPORT, _each(cpu_s + more_s, took_s, left)
            # The lock says that the images are in a database; the next one is to have them too.
            shutil.rmtree(folder / "data" / _LOCKS)


def _each(cpu_s: float, took_s: float, count: int) -> Measured:
    return Measured(1e6 * cpu_s / count, 1000 * took_s / count, count)


@contextmanager
def _folder(scratch: Path, size: int) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="links-", dir=scratch))
    try:
        for name, manifests in _repositories(size).items():
            write_repository(f"{folder}/data", name, manifests=manifests, blobs_each=BLOBS)
        os.sync()  # What was written is not to be paid for by who comes next.
        yield folder
    finally:
        shutil.rmtree(folder)


def _repositories(size: int) -> Mapping[str, int]:
    """The names of the repositories, with the number of images in each."""
    small = {f"many/g{number % 100:02}/app{number}": MANIFESTS for number in range(size // 2 // MANIFESTS)}
    return {"group/big": size - MANIFESTS * len(small), **small}
