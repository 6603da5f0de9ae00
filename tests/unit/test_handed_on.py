"""Memory and pipes of a node's processes, handed on to another program: it has the same ones, and not copies."""

import asyncio
import pickle
import subprocess
import sys

import pytest

from moorage.cache.shared_changes import SharedChanges
from moorage.handed_on import SharedMemory
from moorage.limits.node_counters import NodeCounters
from moorage.limits.rates import Rate
from moorage.work.text_pipe import TextPipe

PROGRAM = """
import asyncio, pickle, sys
changes, counters, rate, pipe, memory = pickle.load(sys.stdin.buffer)
changes.note()
assert asyncio.run(counters.take("somebody", [rate]))[0].is_allowed
assert pipe.tell("said")
memory.memory[0] = 7
"""


def test_another_program_has_the_same_memory_and_the_same_pipe() -> None:
    rate = Rate(name="one", count=1, period_s=3600.0, burst=1, blocks=True)
    changes, counters, pipe, memory = SharedChanges(), NodeCounters(), TextPipe(), SharedMemory(1)
    mark = changes.mark
    handed = pickle.dumps((changes, counters, rate, pipe, memory))
    # What is handed on stays open, and nothing else does.
    subprocess.run([sys.executable, "-c", PROGRAM], input=handed, check=True, timeout=60, close_fds=False)
    assert changes.mark != mark
    assert not asyncio.run(counters.take("somebody", [rate]))[0].is_allowed
    assert asyncio.run(counters.take("somebody else", [rate]))[0].is_allowed
    assert pipe.take() == ["said"]
    assert memory.memory[0] == 7


def test_memory_without_a_file_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.memfd_create")
    with pytest.raises(pickle.PicklingError, match="no memory that can be handed on"):
        pickle.dumps(SharedMemory(1))
