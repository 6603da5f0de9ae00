"""A machine where no folder takes temporary files: SQLite would fail some day, in the middle of somebody's push."""

import subprocess
import sys
from pathlib import Path

from e2e.settings import config_for
from support.components import need

_READ_ONLY = (
    "for place in /tmp /var/tmp; do mount --bind $place $place && mount -o remount,ro,bind $place; done; cd /tmp; "
    'exec env -u TMPDIR -u TMP -u TEMP "$@"'
)


def test_without_a_folder_for_temporary_files_the_check_says_what_to_set(tmp_path: Path) -> None:
    need("unshare", "mount", root=True)
    line = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _READ_ONLY, "sh"]
    line += [sys.executable, "-m", "moorage", "config", "check", "/dev/stdin"]
    ended = subprocess.run(line, input=config_for(tmp_path), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0, ended.stdout
    assert "set the variable TMPDIR" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
