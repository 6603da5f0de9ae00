"""The drawing of the tree that a newcomer sees first, compared with what is there."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "moorage"
PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```\n(.*?)```", PAGE, flags=re.DOTALL)
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
