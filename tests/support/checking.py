"""``moorage check`` as its own process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.commands import moorage

DEADLINE_S = 120.0


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "moorage", "check", *map(str, words)]


def run(*words: str | Path, status: int) -> "subprocess.CompletedProcess[str]":
    """Run it to its end, and check its status; it never shows a traceback."""
    ended = moorage("check", *words, timeout_s=DEADLINE_S)
    assert ended.returncode == status, (ended.returncode, ended.stdout, ended.stderr[-4000:])
    assert "Traceback" not in ended.stdout + ended.stderr
    return ended


def checked(*words: str | Path, status: int) -> dict[str, Any]:
    """Run it, and return what it said in JSON."""
    found: dict[str, Any] = json.loads(run("--json", *words, status=status).stdout)
    assert found["ok"] == (status == 0)
    return found


def differences(found: dict[str, Any]) -> set[tuple[str, str]]:
    """Kind and subject of all that was found."""
    return {(finding["kind"], finding["subject"]) for finding in found["first"]}
