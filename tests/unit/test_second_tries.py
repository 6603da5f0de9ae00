"""Tests that are tried once more where several processes share them."""

import os
import subprocess
import sys
from pathlib import Path

_CONFTEST = """
import pytest
from support.second_tries import count_alone

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    count_alone(config)

def pytest_terminal_summary(terminalreporter, config):
    terminalreporter.write_line(f"tests asked for: {len(config.failures_db.rerunfailures_db)}")
"""
_TESTS = """
def test_passes(): pass

def test_passes_when_it_is_tried_again(request):
    assert request.node.execution_count == 2

def test_never_passes(): assert False
"""


def test_they_are_told_of_and_the_other_processes_are_not_asked(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    (tmp_path / "test_here.py").write_text(_TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "--dist", "loadgroup", "--reruns", "1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=250, check=False
    )
    assert "1 failed, 2 passed, 2 rerun" in ran.stdout, ran.stdout + ran.stderr
    assert "tests asked for: 0" in ran.stdout
