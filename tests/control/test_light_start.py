"""What a running control plane has imported: each of it is in the memory of each process."""

import subprocess
import sys

import pytest

_PROGRAM = """
import atexit, sys
from moorage.cli import main

atexit.register(lambda: print("modules:", *sorted(sys.modules)))
main()
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
    "typer",
    "unittest",
)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The modules in the process that those which serve are forked from, its tables being made at this start."""
    file = tmp_path_factory.mktemp("site") / "control.yml"
    file.write_text(f"secret: {'s' * 40}\nhttp: {{addr: '127.0.0.1:0'}}\nregistry: {{enabled: false}}\nlog: text\n")
    command = [sys.executable, "-c", _PROGRAM, "control", "serve", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    begun = next((line for line in process.stdout if "listening" in line), "")
    process.terminate()
    said, _ = process.communicate(timeout=60)
    assert begun, said
    return set(said.rpartition("modules:")[2].split())


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
