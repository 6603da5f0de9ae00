"""Answers that need no command line: ``moorage --help``, ``-h``, ``version``, ``--version`` and ``-v``, as they stand.

To import typer takes five times as long as Python itself. So nothing of it is imported here, and little else; whatever
is asked with more words, or would look otherwise, is left to it.
"""

import os
import sys
from collections.abc import Mapping, Sequence

from moorage import __version__

HELP_WIDTH = 78
"""Columns of the text in ``help.txt``, which ``make docs`` writes: so many on a terminal of 80 and more."""
_TERMINAL_COLUMNS = 80
_COMPLETION_VARIABLE = "_MOORAGE_COMPLETE"
_PROGRAM = "moorage"


def quick_answer(words: Sequence[str], environ: Mapping[str, str] = os.environ) -> str | None:
    """The answer to a command line of *words*, its program first; None: it is to be read as usual."""
    if len(words) != 2 or os.path.basename(words[0]) != _PROGRAM or _COMPLETION_VARIABLE in environ:  # noqa: PTH119 PLR2004 - pathlib takes as long as Python
        return None
    match words[1]:
        case "version":
            return "\n".join(f"{name} {number}" for name, number in versions().items())
        case "--version" | "-v":
            return f"{_PROGRAM} {__version__}"
        case "--help" | "-h" if _is_wide(environ):
            with open(f"{__file__.rpartition('/')[0]}/help.txt", encoding="ascii") as file:  # noqa: PTH123 - as above
                return file.read().rstrip("\n")
    return None


def versions() -> Mapping[str, str]:
    """The versions that ``moorage version`` prints, by name."""
    return {_PROGRAM: __version__, "python": sys.version.split(maxsplit=1)[0]}


def _is_wide(environ: Mapping[str, str]) -> bool:
    """True if the help looks as in its file: what is no terminal counts as 80 columns wide, as for typer."""
    try:
        columns = int(environ.get("COLUMNS", 0)) or os.get_terminal_size(1).columns
    except (ValueError, OSError):
        return "COLUMNS" not in environ
    return columns >= _TERMINAL_COLUMNS
