"""Imports without a part that an imported package would load and nobody here uses."""

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import cast


@contextlib.contextmanager
def left_out(name: str) -> Iterator[None]:
    """Have *name* look as if it was not installed, for what is imported meanwhile; no change if it is there already."""
    if name in sys.modules:
        yield
        return
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    modules[name] = None  # Python's own way to say so: importing it raises ModuleNotFoundError.
    try:
        yield
    finally:
        del modules[name]
