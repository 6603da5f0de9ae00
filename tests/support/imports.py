"""Imports of a running daemon's processes, as ``noting_imports/sitecustomize.py`` notes them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from support.daemon import Daemon

_HOOK = Path(__file__).parent / "noting_imports"


def noting_imports(folder: Path) -> Mapping[str, str]:
    """The environment in which a daemon's processes note their imports in *folder*, which is made."""
    folder.mkdir()
    return {"PYTHONPATH": str(_HOOK), "NOTED_IMPORTS": str(folder)}


def imported_before_fork(daemon: Daemon, folder: Path) -> Sequence[str]:
    """What the supervisor has imported, which all processes share: a line each, with who asked for it."""
    return _lines(folder / str(daemon.pid))


def imported_after_fork(daemon: Daemon, folder: Path) -> Sequence[str]:
    """What the processes that serve, and the keeper, have each imported for itself."""
    return [line for pid in (*daemon.worker_pids, *daemon.keeper_pids) for line in _lines(folder / str(pid))]


def among(lines: Sequence[str], packages: Sequence[str]) -> Sequence[str]:
    """The *lines* that are about one of *packages*, or about a module in it."""
    return [line for line in lines if any(f"{line.split(' ', 1)[0]}.".startswith(f"{name}.") for name in packages)]


def _lines(file: Path) -> Sequence[str]:
    return file.read_text().splitlines() if file.exists() else []
