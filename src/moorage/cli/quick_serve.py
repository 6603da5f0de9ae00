"""``moorage serve`` as it is usually written, read without typer: a server would keep all of it as long as it lives.

Whatever is written otherwise, and every mistake, is left to ``serve.py``, which has the options' texts.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from moorage.starting.serving import ServeOptions, serve_registry

WORKERS_LIMIT = 256
_COMPLETION_VARIABLE = "_MOORAGE_COMPLETE"
_OPTIONS = frozenset({"--addr", "--data", "--workers"})


def quick_serve(words: Sequence[str]) -> None:
    """Serve as a command line of *words*, its program first, says, and end the process; return if it is another one.

    Raises:
        ConfigurationError: the registry cannot be started; with every mistake.
        StorageUnavailable: storage cannot be read.
    """
    options = usual_options(words)
    if options is None:
        return
    sys.exit(serve_registry(options, say=lambda text: print(text, flush=True)))


def usual_options(words: Sequence[str], environ: Mapping[str, str] = os.environ) -> ServeOptions | None:
    """The options in a command line of *words*, its program first; None: it is another one, or to be read as usual."""
    if words[1:2] != ["serve"] or _COMPLETION_VARIABLE in environ:
        return None
    try:
        pairs = list(_pairs(words[2:]))
        given = dict(pairs)
        if len(given) < len(pairs):
            return None
        return ServeOptions(
            config=Path(given["config"]) if "config" in given else None,
            addr=given.get("--addr"),
            data=Path(given["--data"]) if "--data" in given else None,
            workers=_count(given["--workers"]) if "--workers" in given else None,
        )
    except ValueError:
        return None


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what is given; ValueError: it is not as it usually is."""
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in _OPTIONS:
            value = value if equals else next(rest, "")
        else:
            name, value = "config", word
        if not value or value.startswith("-"):
            raise ValueError(word)
        yield name, value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= WORKERS_LIMIT):
        raise ValueError(text)
    return int(text)
