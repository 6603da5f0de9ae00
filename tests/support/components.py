"""Real clients and servers: skipped with a reason where they cannot be had, a failure where CI=true."""

import os
import shutil

import pytest


def need(*commands: str, root: bool = False) -> None:
    """Skip the test unless every command is installed (and, with *root*, unless we are root); in CI, fail."""
    missing = [command for command in commands if shutil.which(command) is None]
    reason = ""
    if missing:
        reason = f"not installed: {', '.join(missing)} (scripts/install-test-components installs them as root)"
    elif root and os.geteuid() != 0:
        reason = "needs root"
    if not reason:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
