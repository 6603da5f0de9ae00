"""``moorage control serve``, and which ``control.yml`` is meant; read without typer, as it is usually written.

A server would keep all of typer as long as it lives. Whatever is written otherwise is left to ``control.py``.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from moorage.errors import ConfigurationError, Mistake
from moorage.left_out import import_lightly
from moorage.server.held_signals import hold_signals

DEFAULT_FILE = Path("data/control.yml")
_VARIABLE = "MOORAGE_CONTROL"
_COMMAND = ["control", "serve"]
_COMPLETION_VARIABLE = "_MOORAGE_COMPLETE"


def quick_control_serve(words: Sequence[str]) -> None:
    """Serve as a command line of *words*, its program first, says, and end the process; return if it is another one.

    Raises:
        ConfigurationError: the control plane cannot be started; with every mistake.
    """
    if not is_usual(words):
        return
    sys.exit(serve_control(Path(words[3]) if words[3:] else None))


def is_usual(words: Sequence[str], environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether *words* start the control plane, by no more than a file."""
    file = words[3:]
    is_file = not file or (len(file) == 1 and file[0] != "" and not file[0].startswith("-"))
    return list(words[1:3]) == _COMMAND and is_file and _COMPLETION_VARIABLE not in environ


def serve_control(config: Path | None) -> int:
    """Start the control plane and stay until it is stopped; return the exit status.

    Raises:
        ConfigurationError: it cannot be started; with every mistake.
    """
    hold_signals()
    import_lightly()
    from moorage.control.configuration import read_control  # noqa: PLC0415 - after what is left out is
    from moorage.control.serving.control_start import start_control  # noqa: PLC0415 - as above

    return start_control(read_control(control_file(config), os.environ))


def control_file(config: Path | None) -> Path:
    """Return the file to read.

    Raises:
        ConfigurationError: none was named, and there is none where `moorage up` makes it.
    """
    named = os.environ.get(_VARIABLE)
    found = config or (Path(named) if named else DEFAULT_FILE)
    if found == DEFAULT_FILE and not found.exists():
        message = f"{found} is not there; name the file by --config or {_VARIABLE}"
        raise ConfigurationError([Mistake("", message)])
    return found
