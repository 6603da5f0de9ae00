"""Packages that are imported without a part of them."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from moorage.left_out import in_parts, left_out
sys.path.insert(0, {folder!r})
with left_out("shell"):
    import crab
in_parts("crab")  # It is there already, and stays as it is.
print(crab.shell)
in_parts("snail")
import snail.horns
print(snail.horns.length, snail.horns.version, snail.__version__, "whole" in vars(snail))
from snail import foot
print(foot.slime, "whole" in vars(snail))
from snail import whole
print(whole, snail.whole, type(snail).__name__)
in_parts("there_is_none")
"""


def test_a_package_in_parts_runs_when_something_else_is_asked_of_it(tmp_path: Path) -> None:
    (tmp_path / "crab.py").write_text("try:\n    import shell\nexcept ImportError:\n    shell = None\n")
    (tmp_path / "shell.py").write_text("")
    package = tmp_path / "snail"
    package.mkdir()
    (package / "__init__.py").write_text('__version__ = "1.2"\nfrom . import horns\nwhole = "all of it"\n')
    (package / "horns.py").write_text("from . import __version__ as version\nlength = 2\n")
    (package / "foot.py").write_text("slime = 1\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(folder=str(tmp_path))], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["None", "2 1.2 1.2 False", "1 False", "all of it all of it module"]
