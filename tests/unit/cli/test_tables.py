"""Tables on a terminal of 80 columns, which is a real one, and where there is none."""

import os
import pty
import subprocess
import sys
import termios

SHOW = """
from moorage.cli.tables import print_table
print_table(("time", "request", "none"), [("2026-11-23 12:00:00", %r, ""), ("2026-11-23 12:00:01", "b" * 8, "")])
"""


def on_a_terminal(code: str, columns: int = 80) -> list[str]:
    """What a Python program shows on a terminal."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, columns))
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with subprocess.Popen([sys.executable, "-c", code], stdin=slave, stdout=slave, stderr=slave, env=environ) as child:
        os.close(slave)
        shown = b""
        while True:
            try:
                more = os.read(master, 65536)
            except OSError:  # The last writer has closed it.
                break
            if not more:
                break
            shown += more
        assert child.wait(60) == 0, shown
    os.close(master)
    return shown.decode().splitlines()


def test_what_fits_is_a_table_without_its_empty_column() -> None:
    lines = on_a_terminal(SHOW % ("a" * 8))
    assert lines == [
        "TIME                 REQUEST",
        "2026-11-23 12:00:00  aaaaaaaa",
        "2026-11-23 12:00:01  bbbbbbbb",
    ]


def test_what_does_not_fit_is_a_value_a_line_and_none_is_cut() -> None:
    lines = on_a_terminal(SHOW % ("a" * 64))
    assert lines[:3] == ["TIME     2026-11-23 12:00:00", "REQUEST  " + "a" * 64, ""]
    assert max(map(len, lines)) <= 80


def test_without_a_terminal_a_row_is_one_line_however_long() -> None:
    done = subprocess.run([sys.executable, "-c", SHOW % ("a" * 300)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "2026-11-23 12:00:00  " + "a" * 300
