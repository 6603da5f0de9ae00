"""The ``moorage`` command: each subcommand parses, calls one function, prints."""

import atexit
import sys
from gc import freeze, set_threshold  # The module itself would be hidden by our ``gc.py`` beside this file.

from moorage.cli.any_text import print_any_text, told_as_mistake
from moorage.cli.quick_answers import quick_answer
from moorage.cli.standard_streams import run_with_streams

_GC_THRESHOLD = 50_000
"""Imports stay for good: looking for cycles every 700 objects costs a fifth of the time that a command needs."""

_ALONE = (
    "this is the registry alone: accounts and pages need the extra `control` (pip install 'moorage[control]'), "
    "which the Debian package and the image `everything` have"
)


def main() -> None:
    """Run the command line; mistakes of the caller become a message and a status, never a traceback."""
    run_with_streams(_answer)


def _answer() -> None:
    answer = quick_answer(sys.argv)
    if answer is not None:
        print(answer)
        return
    print_any_text()
    set_threshold(_GC_THRESHOLD)
    atexit.register(freeze)  # Python looks for cycles once more when it ends: a third of what a short command takes.
    from moorage.errors import ConfigurationError, MoorageError  # noqa: PLC0415 - not for a quick answer, and the collector has to know before

    try:
        if sys.argv[1:2] == ["serve"]:
            from moorage.cli.quick_serve import quick_serve  # noqa: PLC0415 - no other command needs it

            quick_serve(sys.argv)
        elif sys.argv[1:3] == ["control", "serve"]:
            from moorage.cli.control_serving import quick_control_serve  # noqa: PLC0415 - as above

            quick_control_serve(sys.argv)
        _run_app()
    except ConfigurationError as exc:
        for mistake in exc.mistakes:
            print(f"error: {mistake}", file=sys.stderr)
        for warning in exc.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        sys.exit(1)
    except MoorageError as exc:
        print(f"error: {exc}", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as exc:
        if exc.name != "django":
            raise
        print(f"error: {_ALONE}", file=sys.stderr)
        sys.exit(1)


def _run_app() -> None:
    from moorage.cli.app import app  # noqa: PLC0415 - a server would keep all of typer

    try:
        app()
    except UnicodeEncodeError as exc:
        print(f"error: {told_as_mistake(exc)}", file=sys.stderr)
        sys.exit(1)
