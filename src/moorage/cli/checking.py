"""Runs of ``moorage check``, and the output."""

import asyncio
import sys
import time
from pathlib import Path

from moorage.cli.check_output import CheckBars, print_json, print_people
from moorage.cli.standard_streams import INTERRUPTED
from moorage.errors import ConfigurationError, MoorageError
from moorage.starting.check_start import CheckWish, configuration_to_check, run_check

NO_DIFFERENCES, DIFFERENCES, NOT_DONE = 0, 1, 2
"""Statuses."""


def run(path: Path | None, data: Path | None, wish: CheckWish, *, as_json: bool) -> int:
    """Check, print what was found, and return the status."""
    began_at = time.monotonic()
    try:
        config = configuration_to_check(path, data)
        state = asyncio.run(run_check(config, wish, watched_by=CheckBars(), warn=_warn))
    except ConfigurationError as exc:
        for mistake in exc.mistakes:
            _warn(f"error: {mistake}")
        for warning in exc.warnings:
            _warn(f"warning: {warning}")
        return NOT_DONE
    except (MoorageError, OSError) as exc:
        _warn(f"error: {exc}")
        return NOT_DONE
    except KeyboardInterrupt:
        _warn("ended before it was done; the same command with --resume goes on from here")
        return INTERRUPTED
    show = print_json if as_json else print_people
    show(state, seconds=time.monotonic() - began_at, repairs=wish.repairs)
    return DIFFERENCES if state.tally.differences else NO_DIFFERENCES


def _warn(text: str) -> None:
    print(text, file=sys.stderr)
