"""Pages of files that a supervisor lets go of: only those that are as they are in the file, and nothing is missed."""

import subprocess
import sys

from moorage.server.idle_pages import unchanged

SMAPS = """\
55d0c0000000-55d0c0001000 r--p 00000000 08:01 131 /usr/bin/python3.11
Rss:                   4 kB
Anonymous:             0 kB
VmFlags: rd mr mw me sd
55d0c0001000-55d0c0003000 r-xp 00001000 08:01 131 /usr/bin/python3.11
Anonymous:             0 kB
55d0c0003000-55d0c0004000 rw-p 00003000 08:01 131 /usr/bin/python3.11
Anonymous:             0 kB
55d0c1000000-55d0c1100000 rw-p 00000000 00:00 0 [heap]
Anonymous:           900 kB
7f0000000000-7f0000010000 r--p 00000000 00:00 0
Anonymous:             0 kB
7f0000010000-7f0000020000 r--p 00010000 08:01 132 /usr/lib/x86_64-linux-gnu/libcrypto.so.3
Anonymous:            64 kB
7f0000020000-7f0000030000 r--s 00000000 00:01 77 /dev/zero (deleted)
Anonymous:             0 kB
7f0000030000-7f0000038000 r-xp 00000000 08:01 133 /opt/a folder/lib.so
Anonymous:             0 kB
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
"""

_PROGRAM = """
import ctypes, hashlib, json, sqlite3, ssl
from pathlib import Path
from moorage.server.idle_pages import let_go_of_files

def held_kib():
    return int(Path("/proc/self/status").read_text().split("RssFile:")[1].split()[0])

def worked():
    context = ssl.create_default_context()
    rows = sqlite3.connect(":memory:").execute("SELECT json('[1, 2]')").fetchall()
    return [hashlib.sha256(b"x").hexdigest(), rows, len(context.get_ca_certs()), json.dumps({"a": 1.5})]

expected, before = worked(), held_kib()
let_go_of_files()
after = held_kib()
assert worked() == expected
print(before, after)
"""


def test_what_was_changed_or_is_no_file_stays() -> None:
    assert list(unchanged(SMAPS)) == [
        (0x55D0C0000000, 0x1000),
        (0x55D0C0001000, 0x2000),
        (0x7F0000030000, 0x8000),
    ]


def test_a_program_goes_on_with_less_memory() -> None:
    ended = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    before_kib, after_kib = map(int, ended.stdout.split())
    assert after_kib < before_kib - 1024
