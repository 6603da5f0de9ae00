"""The drawing of the tree that a newcomer sees first, compared with what is there."""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "moorage"
PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```\n(.*?)```", PAGE, flags=re.DOTALL)
CHAIN_LIMIT = 14
"""Modules in a row, each of which imports the next: so many files somebody may have to open to understand the first."""
UNDRAWN = {"__init__.py", "__main__.py"}
"""Files that every package has."""


def drawn() -> set[str]:
    """The paths in the drawing."""
    found: set[str] = set()
    above: list[str] = []
    for line in BLOCKS[0].splitlines()[1:]:
        indent, name = re.fullmatch(r"([│├└─ ]+?)([a-z]\S*)\s.*", line).groups()  # type: ignore[union-attr] # or it fails
        depth = len(indent) // 4 - 1
        above[depth:] = [name.rstrip("/")]
        found.add("/".join(above))
    return found


def there() -> set[str]:
    """The folders of the package, and the files on its ground floor."""
    folders = {str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")} - {"."}
    return folders | {path.name for path in PACKAGE.glob("*.py")} - UNDRAWN


def test_the_drawing_is_the_tree() -> None:
    assert drawn() == there() - {"metadata/schema/pre", "metadata/schema/post"}


def test_every_room_says_what_it_is_for() -> None:
    assert [line for line in BLOCKS[0].splitlines()[1:] if len(line.split()) < 4] == []


def test_the_layers_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [found["layers"] for found in contracts if found.get("containers") == ["moorage"]]
    assert BLOCKS[1].split("\n")[:-1] == layers


def test_every_place_that_the_page_names_is_there() -> None:
    named = {path for path in re.findall(r"`([a-z_/]+(?:\.py|/[a-z_]+))`", PAGE) if not path.startswith("tests")}
    assert [path for path in sorted(named) if not (PACKAGE / path).exists()] == []


def modules() -> Mapping[str, Path]:
    paths = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in paths.items()}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules that are loaded with a file: not what a function imports later, nor what only its types name."""
    waiting: list[ast.AST] = [parsed(path)]
    while waiting:
        match waiting.pop():
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.ImportFrom(module=str(module), names=names) if module in known:
                for name in names:
                    below = f"{module}.{name.name}"
                    yield below if below in known else module
            case node:
                waiting += ast.iter_child_nodes(node)


def passed_on(path: Path) -> Iterator[str]:
    """The names that a file imports for others to import from it."""
    for node in parsed(path).body:
        if isinstance(node, ast.ImportFrom):
            yield from (f"{path.name}: {name.name}" for name in node.names if name.asname == name.name)


def test_a_name_is_imported_from_the_file_that_it_is_in() -> None:
    """Only the doors of rooms pass names on: of the configuration, of what backends are made of, of storage."""
    doors = {PACKAGE / "config" / "__init__.py", PACKAGE / "storage" / "base.py", *(PACKAGE / "wiring").glob("*.py")}
    assert [found for path in modules().values() if path not in doors for found in passed_on(path)] == []


def longest(names: Mapping[str, Path]) -> tuple[str, ...]:
    @cache
    def chain(name: str) -> tuple[str, ...]:
        below = sorted((chain(other) for other in imported(names[name], names) if other != name), key=len)
        return (name, *below[-1]) if below else (name,)

    best: tuple[str, ...] = ()
    for name in names:
        best = max(best, chain(name), key=len)
    return best


def test_no_chain_of_imports_is_long() -> None:
    found = longest(modules())
    assert len(found) <= CHAIN_LIMIT, " -> ".join(found)
