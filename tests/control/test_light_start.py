"""What a running control plane has imported: each of it is in the memory of each process."""

import subprocess
import sys

import pytest

_PROGRAM = """
import os, signal, sys
from pathlib import Path
from moorage.left_out import left_out
with left_out("rich"):  # As the command does.
    import structlog
from moorage.control.configuration import read_control
from moorage.control.serving.control_start import start_control

def show(url):
    print(*sorted(sys.modules))
    os.kill(os.getpid(), signal.SIGTERM)

sys.exit(start_control(read_control(Path(sys.argv[1]), {}), on_ready=show))
"""

_NEVER = (
    "click",
    "django.db.migrations.autodetector",
    "django.test",
    "jinja2",
    "moorage.control.accounts.migrations",
    "pygments",
    "re2",
    "rich.console",
    "unittest",
)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The modules in the process that those which serve are forked from, its tables being made at this start."""
    file = tmp_path_factory.mktemp("site") / "control.yml"
    file.write_text(f"secret: {'s' * 40}\nhttp: {{addr: '127.0.0.1:0'}}\nregistry: {{enabled: false}}\nlog: text\n")
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(file)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("name", _NEVER)
def test_a_control_plane_holds_nothing_that_it_does_not_run(name: str, modules: set[str]) -> None:
    assert "moorage.control.api.routes.projects" in modules
    assert name not in modules


def test_a_package_that_was_hollow_for_a_moment_is_whole_for_whoever_asks_next() -> None:
    program = """
import sys
from moorage.control.light_start import hollow
with hollow("unittest"):
    import unittest.util
    assert not hasattr(sys.modules["unittest"], "TestCase")
import unittest
print(unittest.TestCase.__name__, unittest.util.__name__)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["TestCase", "unittest.util"]
