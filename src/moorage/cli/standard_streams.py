"""Standard streams as a command may find them: closed, on a full disk, or read by nobody any more.

It comes before every command, so it imports only what Python itself has at hand.
"""

import errno
import io
import os
import sys
from collections.abc import Callable

INTERRUPTED = 130
"""Status of what Ctrl-C ended, as a shell has it; so a script tells it from what failed."""
_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


class OutputLost(OSError):
    """Failure to write what was printed."""


class _ToldOutput(io.TextIOWrapper):
    """Standard output whose errors are told from those of other files."""

    def write(self, text: str) -> int:
        """Write it; see the library."""
        try:
            return super().write(text)
        except OSError as exc:
            raise OutputLost(exc.errno, exc.strerror) from None

    def flush(self) -> None:
        """Write what is left; see the library."""
        try:
            super().flush()
        except OSError as exc:
            raise OutputLost(exc.errno, exc.strerror) from None


def run_with_streams(command: Callable[[], object]) -> None:
    """Run a command; output that is lost is a mistake with status 1, and Ctrl-C is no traceback.

    Who reads a pipe no longer has what they wanted, so that is not said.
    """
    _fill_closed()
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout is sys.__stdout__:
        sys.stdout = _told(sys.stdout)
    output = sys.stdout
    try:
        try:
            command()
        finally:
            output.flush()
    except OutputLost as exc:
        _forget_output()
        if exc.errno != errno.EPIPE:
            print(f"error: what was to be printed cannot be written: {exc.strerror}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _fill_closed() -> None:
    # Python has None for a stream that is closed, and prints errors to standard output where that is standard error.
    # In order, as each takes the lowest free number: no file of ours is to get that of a stream.
    for name, mode in _STREAMS:
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - pathlib takes as long as Python; kept to the end


def _told(stream: io.TextIOWrapper) -> _ToldOutput:
    return _ToldOutput(
        stream.buffer,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _forget_output() -> None:
    """Let what is still to be written go nowhere: Python would try once more when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
