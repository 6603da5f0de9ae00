"""Ports that tests are given: two processes never get the same one, though neither listens at it yet."""

import gc
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import ports

OTHER_RUN = "import itertools, sys; from support import ports; ports._TURNS = itertools.count(5); "
ASKS = "print(ports.free_port(), flush=True); sys.stdin.read()"


def test_a_port_that_a_test_of_another_run_was_given_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_RUN + ASKS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    try:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        monkeypatch.setattr(ports, "_TURNS", itertools.count(5))
        assert ports.free_port() > theirs
    finally:
        other.kill()
        other.communicate()


def test_a_port_is_nobody_elses_until_many_others_were_given_out() -> None:
    first = ports.free_port()
    given = {ports.free_port() for _ in range(ports._MOST_CLAIMS)}
    assert first not in given
    assert len(given) == len(ports._CLAIMS) == ports._MOST_CLAIMS
    gc.collect()  # Whoever lets go of one without closing it is told of here.
