"""Open files: each connection is one, and services are started with few of them allowed."""

import resource

from moorage.telemetry import get_log

_FEW = 4096

_log = get_log("supervisor")


def raise_open_files() -> int:
    """Let this process, and those that it forks, open as many files as they may; return how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as exc:
            _log.warning("the limit of open files cannot be raised", limit=soft, hard_limit=hard, error=str(exc))
        else:
            soft = hard
    if 0 <= soft < _FEW:
        message = "few files may be open at once, and each connection is one; raise LimitNOFILE= or ulimit -Hn"
        _log.warning(message, limit=soft)
    return soft
