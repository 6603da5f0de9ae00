"""The ``moorage`` command: each subcommand parses, calls one function, prints."""

import sys

from moorage.cli.app import app
from moorage.errors import ConfigurationError, MoorageError


def main() -> None:
    """Run the command line; mistakes of the caller become a message and a status, never a traceback."""
    try:
        app()
    except ConfigurationError as exc:
        for mistake in exc.mistakes:
            print(f"error: {mistake}", file=sys.stderr)
        for warning in exc.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        sys.exit(1)
    except MoorageError as exc:
        print(f"error: {exc}", file=sys.stderr)
        sys.exit(1)
