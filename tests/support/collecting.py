"""``moorage garbage-collect`` as its own process, and what is in a folder afterwards."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.commands import moorage

DEADLINE_S = 120.0


def command(config: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "moorage", "garbage-collect", *options, str(config)]


def run(config: Path, *options: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run it to its end; it never shows a traceback."""
    ended = moorage("garbage-collect", *options, config, env={**os.environ, **(env or {})}, timeout_s=DEADLINE_S)
    assert "Traceback" not in ended.stdout + ended.stderr, ended.stderr[-4000:]
    return ended


def collected(config: Path, *options: str) -> dict[str, Any]:
    """Run it, and return what it said in JSON."""
    ended = run(config, "--json", *options)
    assert ended.returncode == 0, ended.stderr[-4000:]
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def blobs_below(root: Path) -> set[str]:
    """The digest of every blob in a folder of Distribution's layout."""
    folder = root / "docker/registry/v2/blobs"
    return {f"{path.parts[-4]}:{path.parts[-2]}" for path in folder.glob("*/*/*/data")}
