"""Names and words of the package: a class name means one class, and a docstring says what is there."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "moorage"
SOURCES = sorted(PACKAGE.rglob("*.py"))
NAMED_BY_DJANGO = {"Migration"}
"""What Django looks for in each file of a folder ``migrations``."""
QUESTIONS = {"What", "How", "Whether", "Who", "Whose", "Which", "Where", "Why", "When"}


def class_names(path: Path) -> Iterator[str]:
    return (
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )


def test_a_class_name_means_one_class() -> None:
    counts = Counter(
        name
        for path in SOURCES
        for name in class_names(path)
        if not (path.parent.name == "migrations" and name in NAMED_BY_DJANGO)
    )
    assert {name for name, number in counts.items() if number > 1} == set()


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in node.body:
                match statement:
                    case ast.Expr(ast.Constant(str(text))):
                        yield statement.lineno, text


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(PACKAGE)) for path in SOURCES])
def test_a_docstring_is_no_question(path: Path) -> None:
    opening = [(line, text.split()[0].strip(".,:;")) for line, text in docstrings(path) if text.strip()]
    assert [f"{path.name}:{line} opens with {word}" for line, word in opening if word in QUESTIONS] == []


def test_the_paths_at_which_a_site_is_asked_are_written_in_one_module() -> None:
    """Docstrings may name them: there they are in double backquotes."""
    paths = re.compile(r"^[^`\n]*(?:container_registry_event/events|jwt/auth)", re.MULTILINE)
    found = {str(path.relative_to(PACKAGE)) for path in SOURCES if paths.search(path.read_text(encoding="utf-8"))}
    assert found == {"gitlab_site/site_paths.py"}
