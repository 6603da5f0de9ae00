"""Imports without a part that an imported package would load and nobody here uses."""

import contextlib
import gc
import os
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec

_VERSION = re.compile(r'^__version__ = "([^"]+)"', re.MULTILINE)


@contextlib.contextmanager
def left_out(*names: str) -> Iterator[None]:
    """Have each of *names* look as if it was not installed, for what is imported meanwhile; no change if it is there.

    A package asks for it by itself, and does without it.
    """
    absent = [name for name in names if name not in sys.modules]
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    for name in absent:
        modules[name] = None  # Python's own way to say so: importing it raises ModuleNotFoundError.
    try:
        yield
    finally:
        for name in absent:
            del modules[name]


def import_lightly() -> None:
    """Import what every server of ours needs, without the parts of it that none uses; to be called before its modules.

    The collector of cycles rests from here on, until the supervisor has put aside what there is: it would look twice
    through all that was imported, and find nothing.

    ``rich`` is for tracebacks in colours, and our log has none; ``greenlet`` for contexts that we do not make.
    aiohttp's client has its certificates read as soon as it is imported, and most registries ask nobody.
    """
    gc.disable()
    _leave_out_plugins()
    with left_out("rich", "greenlet"):
        import_module("structlog")
    in_parts("aiohttp")


def in_parts(name: str) -> None:
    """Have the package *name* imported without what its ``__init__`` would import; no change if it is there already.

    Its modules are imported as they are asked for. The ``__init__`` runs when something else is asked of the package.
    """
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None or spec.loader is None or not spec.origin:
        return  # Whoever imports it is told as usual that it is missing.
    package = module_from_spec(spec)
    package.__class__ = _PackageInParts
    sys.modules[name] = package


def in_full(name: str) -> None:
    """Import all of the package *name*, whatever :func:`in_parts` has left out of it."""
    package = import_module(name)
    if isinstance(package, _PackageInParts):
        package.fill()


def _leave_out_plugins() -> None:
    """Have pydantic find no plugins of its own: it would read the metadata of every installed package to look for them.

    A variable switches that off; what reads metadata, with archives and tables besides, is then imported for nothing.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    name = "pydantic.plugin._loader"
    if name not in sys.modules:
        without = ModuleType(name)
        without.get_plugins = tuple  # type: ignore[attr-defined]  # the one function of that module
        sys.modules[name] = without


class _PackageInParts(ModuleType):
    """A package whose ``__init__`` has not run."""

    def __getattr__(self, name: str) -> object:
        """A name that is not there yet: of a module, the version that modules ask for, or any other of the whole."""
        spec = cast("ModuleSpec", self.__spec__)
        if name == "__version__" and (found := _VERSION.search(Path(str(spec.origin)).read_text(encoding="utf-8"))):
            return found[1]
        if name.startswith("__"):
            raise AttributeError(name)  # Python itself asks for these, and does without.
        if find_spec(f"{spec.name}.{name}") is not None:
            return import_module(f"{spec.name}.{name}")
        self.fill()
        return getattr(self, name)

    def fill(self) -> None:
        """Run its ``__init__``; from here on it is as any other."""
        self.__class__ = ModuleType  # type: ignore[assignment]
        cast("Loader", cast("ModuleSpec", self.__spec__).loader).exec_module(self)
