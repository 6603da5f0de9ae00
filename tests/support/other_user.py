"""What another user of the machine comes to, for tests of what belongs to somebody else."""

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ParamSpec, TypeVar

from moorage.storage import paths

_SPAWN = multiprocessing.get_context("spawn")
_NOBODY = 65534
_PATIENCE_S = 60.0

_P = ParamSpec("_P")
_T = TypeVar("_T")


def as_other_user(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """What *work* returns in a process of a user who owns nothing.

    Only root can change to another user. Elsewhere it is the same one: take away the owner's own rights, too.
    """
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_work, args=(theirs, work, args, kwargs), daemon=True)
    process.start()
    theirs.close()
    try:
        assert ours.poll(_PATIENCE_S)
        result: _T = ours.recv()
        return result
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """A folder on a disk in which everybody may do everything, and that nobody is kept out of by those above it."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        path = Path(name)
        path.chmod(0o777)
        yield path
        path.chmod(0o777)


@contextmanager
def storage_for_all() -> Iterator[Path]:
    """A folder as storage, with an empty folder of files that say who is at work; everybody may do everything there."""
    with folder_for_all() as path:
        (path / paths.LOCK_FILES.lstrip("/")).mkdir(parents=True)
        yield path


def _work(pipe: Connection, work: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    pipe.send(work(*args, **kwargs))
