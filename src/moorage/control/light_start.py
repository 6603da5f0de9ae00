"""Start of Django without what its libraries import and no server runs: it would be in the memory of each process."""

import contextlib
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType

import django

from moorage.left_out import left_out


def set_up_django() -> None:
    """Import httpx, Django and all its applications."""
    with left_out("rich"), left_out("click"):  # For httpx's own command line, which nobody calls.
        import httpx  # noqa: F401, PLC0415 - first of all that import it
    # Ninja needs one signal of it; with it come a test framework, another one's mocks, Jinja and a server.
    with hollow("django.test"):
        django.setup()


@contextlib.contextmanager
def hollow(name: str) -> Iterator[None]:
    """Have the package *name* be empty for what is imported meanwhile: its modules can be had without its own imports.

    Whoever imports it afterwards gets it whole. No change if it is there already.
    """
    spec = None if name in sys.modules else find_spec(name)
    if spec is None:
        yield
        return
    package = ModuleType(name)
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules[name] = package
    try:
        yield
    finally:
        for module in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
            del sys.modules[module]  # What has them keeps them; a package that is whole has its modules as attributes.
        parent, _, child = name.rpartition(".")
        if parent in sys.modules and vars(sys.modules[parent]).get(child) is package:
            delattr(sys.modules[parent], child)
