"""The file of variables of a service, as systemd reads it: for commands that do its work without it."""

import shlex
from collections.abc import Mapping
from pathlib import Path

_COMMENTS = ("#", ";")


def read_environment(file: Path) -> Mapping[str, str]:
    """Return the variables in *file*; none if there is no file. Source: systemd.exec(5), ``EnvironmentFile=``.

    Raises:
        OSError: it cannot be read.
        ValueError: a quotation has no end.
    """
    try:
        lines = file.read_text(encoding="utf-8", errors="surrogateescape").replace("\\\n", "").splitlines()
    except FileNotFoundError:
        return {}
    named = (line.strip().partition("=") for line in lines if not line.strip().startswith(_COMMENTS))
    return {name.strip(): _value(text.strip()) for name, mark, text in named if mark}


def _value(text: str) -> str:
    # What is not quoted keeps its blanks: it is no command of a shell.
    return "".join(shlex.split(text)) if "'" in text or '"' in text else text
