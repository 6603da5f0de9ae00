"""The process that keeps house gives way to those that serve."""

import ctypes
import multiprocessing
import os
import platform
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from moorage.server.scheduling import step_back, usable_processors

_SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}
_FORK = multiprocessing.get_context("fork")


def told_by(work: Callable[[Connection], None]) -> tuple[int, int, int]:
    """What a process that does *work* says of itself: niceness, policy, and its slice in nanoseconds."""
    ours, theirs = _FORK.Pipe()
    process = _FORK.Process(target=work, args=(theirs,))
    process.start()
    try:
        assert ours.poll(10)
        found = ours.recv()
    finally:
        process.join(10)
    assert isinstance(found, tuple)
    return found


def tell(pipe: Connection) -> None:
    attributes = (ctypes.c_uint32 * 12)()
    ctypes.CDLL(None).syscall(_SCHED_GETATTR[platform.machine()], 0, attributes, 48, 0)
    pipe.send((os.getpriority(os.PRIO_PROCESS, 0), attributes[1], attributes[6]))


def nice_one(pipe: Connection) -> None:
    step_back(5)
    tell(pipe)


def thread_of_a_nice_one(pipe: Connection) -> None:
    step_back(5)
    thread = threading.Thread(target=tell, args=(pipe,))
    thread.start()
    thread.join()


@pytest.mark.parametrize("work", [nice_one, thread_of_a_nice_one])
def test_it_is_nicer_waits_its_turn_and_asks_for_the_longest_slice(work: Callable[[Connection], None]) -> None:
    before, _, _ = told_by(tell)
    release = tuple(int(part) for part in platform.release().split(".")[:2])
    niceness, policy, slice_ns = told_by(work)
    assert (niceness, policy) == (min(before + 5, 19), os.SCHED_BATCH)
    if release >= (6, 12):
        assert slice_ns == 100_000_000


def test_elsewhere_it_is_nice_only(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []
    monkeypatch.setattr(os, "nice", called.append)
    monkeypatch.setattr(platform, "machine", lambda: "abacus")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: pytest.fail("there is no number to call"))
    step_back(5)
    assert called == [5]


@pytest.mark.parametrize(
    ("cgroup", "files", "count"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/not/here\n", {"cpu.max": "10000 100000\n"}, 1),
        (
            "3:cpu,cpuacct:/x\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "90000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"},
            1,
        ),
        ("0::/\n", {"cpu.max": "100000000 100000\n"}, 0),
        ("0::/\n", {"cpu.max": "nonsense\n"}, 0),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 0),
        ("", {}, 0),
    ],
)
def test_processors_are_counted_by_what_may_be_used(
    tmp_path: Path, cgroup: str, files: dict[str, str], count: int
) -> None:
    """A count of 0 here: nothing but the affinity limits it."""
    for name, text in {"proc/self/cgroup": cgroup, **{f"sys/fs/cgroup/{name}": files[name] for name in files}}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_processors(root=tmp_path) == (count or len(os.sched_getaffinity(0)))
