"""What a process and all its descendants used, from ``/proc``. Linux only."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")

# Places in /proc/PID/stat after the name, which is dropped because it may hold spaces (proc(5), counted from 0).
_PARENT, _SESSION = 1, 3
_OWN_TIME_TO_REAPED_TIME = slice(11, 15)
_LISTENS = "0A"
"""The state of a socket in ``/proc/net/tcp``."""


def cpu_s(root: int) -> float:
    """Seconds of CPU (user and system) of *root* and its descendants: all their threads, and their ended children."""
    stats = _stats()
    ticks = sum(sum(map(int, stats[pid][_OWN_TIME_TO_REAPED_TIME])) for pid in _members(root, stats))
    return ticks / TICKS_PER_S


def precise_cpu_s(pid: int) -> float:
    """Seconds of CPU of one process with one thread, to the nanosecond (``/proc/PID/schedstat``)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def peak_memory_bytes(root: int) -> int:
    """The largest resident size that any one process of the tree has ever had (``VmHWM``)."""
    return max((_bytes(pid, "VmHWM") for pid in tree(root)), default=0)


def memory_bytes(root: int) -> int:
    """The largest resident size that any one process of the tree has (``VmRSS``)."""
    return max((_bytes(pid, "VmRSS") for pid in tree(root)), default=0)


def proportional_bytes(root: int) -> int:
    """The memory of the whole tree: a page that several processes share counts as its part in each (``Pss``)."""
    return sum(_kib(Path(f"/proc/{pid}/smaps_rollup"), "Pss") << 10 for pid in tree(root))


def forget_peak(root: int) -> None:
    """Let the peaks of :func:`peak_memory_bytes` begin anew at what each process has now (proc(5), clear_refs)."""
    for pid in tree(root):
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text("5")


def tree(root: int) -> list[int]:
    """The processes that *root* leads: its descendants, and whoever is in its session."""
    return _members(root, _stats())


def listens(root: int, port: int) -> bool:
    """Return whether it is one of the tree of *root* that takes connections to a TCP port, and not somebody else."""
    listening = {
        f"socket:[{inode}]" for name in ("tcp", "tcp6") for inode in _listeners(f"/proc/{root}/net/{name}", port)
    }
    return any(not listening.isdisjoint(_open(pid)) for pid in tree(root))


def stop(process: subprocess.Popen[bytes], *, patience_s: float) -> None:
    """Ask the process to end; after *patience_s* kill it. Whatever it leaves behind in its session is killed too."""
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in tree(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _listeners(table: str, port: int) -> list[str]:
    """The inodes of sockets that listen at a port, of a table of the kernel's (proc_net_tcp)."""
    try:
        rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
    except OSError:
        return []  # It ended meanwhile.
    return [row[9] for row in rows if row[3] == _LISTENS and int(row[1].rpartition(":")[2], 16) == port]


def _open(pid: int) -> set[str]:
    """What a process has open."""
    found = set()
    with contextlib.suppress(OSError):  # It ended meanwhile, or is somebody else's.
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(file.readlink()))
    return found


def _stats() -> dict[int, list[str]]:
    stats = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            text = (folder / "stat").read_text(errors="replace")
        except OSError:
            continue  # It ended meanwhile.
        stats[int(folder.name)] = text[text.rindex(")") + 2 :].split()
    return stats


def _members(root: int, stats: dict[int, list[str]]) -> list[int]:
    members = {root} & stats.keys()
    # A child may have a lower number than its parent: repeat until nothing is added.
    while True:
        found = {
            pid for pid, stat in stats.items() if int(stat[_PARENT]) in members or int(stat[_SESSION]) == root
        } - members
        if not found:
            return sorted(members)
        members |= found


def _bytes(pid: int, field: str) -> int:
    return _kib(Path(f"/proc/{pid}/status"), field) << 10


def _kib(file: Path, field: str) -> int:
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return 0  # It ended meanwhile.
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)
