"""The limit of open files: raised, and told when it is near."""

import json
import subprocess
import sys

SCRIPT = """
import json, os, resource
from moorage.server.open_files import OpenFiles, raise_open_files
from moorage.telemetry import LogSettings, configure
configure(LogSettings(fields={}))
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256))
print(json.dumps(raise_open_files()), flush=True)
seconds = 0.0
watched = OpenFiles(monotonic=lambda: seconds)
held = []
def hold(count):
    while len(held) < count:
        held.append(os.open("/", os.O_RDONLY))
watched.look()
hold(100)
watched.look()
print(json.dumps("few"), flush=True)
hold(235)
watched.look()
watched.look()
print(json.dumps("near"), flush=True)
try:
    hold(1000)
except OSError:
    pass
watched.look()
watched.look()
seconds = 61.0
watched.look()
"""


def test_the_limit_is_raised_to_the_hard_one_and_told_when_near_and_when_reached_once_a_minute() -> None:
    found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=True)
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    said = [line["msg"] if isinstance(line, dict) else line for line in lines]
    few, near, at = (
        "few files may be open at once, and each connection is one; raise LimitNOFILE= or ulimit -Hn",
        "most of the files that may be open at once are; each connection is one",
        "no more files can be opened: connections are closed unanswered, and requests fail",
    )
    assert said == [few, 256, "few", near, "near", at, at]
