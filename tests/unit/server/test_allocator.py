"""Memory of passwords' hashes: it is the system's again once they are made."""

import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import sys, threading
from pathlib import Path
from argon2.low_level import Type, hash_secret
from moorage.server.allocator import keep_memory_small

def held_mib():
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1024

def hashed():
    for _ in range(2):
        hash_secret(b"password", b"salt-of-16-bytes", time_cost=1, memory_cost=19456, parallelism=1, hash_len=32,
                    type=Type.ID)

if sys.argv[1] == "small":
    keep_memory_small()
before = held_mib()
threads = [threading.Thread(target=hashed) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(held_mib() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_hashes_of_passwords_leave_no_memory_behind() -> None:
    def left_mib(how: str) -> float:
        command = [sys.executable, "-c", _PROGRAM, how]
        return float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)

    small, usual = left_mib("small"), left_mib("usual")

    assert small < 4, f"{small} MiB, and {usual} with the libc's own settings"
