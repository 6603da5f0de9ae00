"""Where log lines go."""

import subprocess
import sys

SCRIPT = 'from moorage.telemetry import output_stream as to; to("discard").write("x"); to("discard").flush()'


def test_a_log_that_is_discarded_leaves_no_file_that_python_warns_of_at_the_end() -> None:
    command = [sys.executable, "-X", "dev", "-c", SCRIPT]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert (found.stdout, found.stderr) == ("", "")
