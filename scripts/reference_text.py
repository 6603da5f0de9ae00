"""Text of the reference pages: docstrings as Markdown, tables, whole pages."""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence

WRITTEN_BY = "<!-- Written from the code by `make docs`; changes here are lost. -->"

Row = Sequence[str]


def page(lines: Iterable[str]) -> str:
    """Return a whole page."""
    text = "\n".join([WRITTEN_BY, "", *lines])
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def table(head: Row, rows: Iterable[Row]) -> list[str]:
    """Return the lines of a table."""
    cells = [[cell.replace("\\|", "|").replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *cells)]


def sentence(text: str) -> str:
    """Return a text with its full stop."""
    text = plain(text)
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def plain(text: str) -> str:
    """Return a docstring as Markdown, on one line."""
    text = re.sub(r":\w+:`~?(?:\w+\.)*(\w+)`", r"`\1`", text)
    return " ".join(text.replace("``", "`").split())


def first_line(thing: Callable[..., object]) -> str:
    """Return the first paragraph of a docstring, on one line."""
    return plain((inspect.getdoc(thing) or "").split("\n\n")[0])
