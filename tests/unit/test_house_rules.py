"""What this project asks of its own files and a linter cannot say (see docs/explanation/style.md)."""

import contextlib
import inspect
import io
import itertools
import re
import shlex
import textwrap
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml
from typer.core import TyperCommand, TyperGroup, TyperOption

from moorage import config, errors, gitlab_errors, moorage_errors
from moorage.cli.app import app
from moorage.cli.command_table import COMMANDS, NOTES
from moorage.cli.lazy_group import LazyGroup
from moorage.config.sections.storage import DRIVERS
from moorage.control.configuration import ControlConfiguration
from moorage.http.gitlab_v1 import gitlab_operations
from moorage.http.moorage_v1 import moorage_api
from moorage.http.v2 import v2_operations
from moorage.web import errors as wire_errors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
FILE_LINE_LIMIT = 400
TREE = (errors, gitlab_errors, moorage_errors)
"""The drawing of all errors, and of its branches."""
CONTROL_KEYS = {"sign_in", "ldap"}
"""Keys of control.yml that the registry's file does not have."""
USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
"""Typer's own, which has no public name."""
LEAST_SHOWN = 100
"""Commands on all pages together."""
BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
NEVER_ANSWERED = {
    errors.MoorageError,
    errors.Refused,
    errors.BackendError,
    errors.ConfigurationError,
    errors.MigrationFailed,
}
"""Parents that nobody raises, and what stops the start instead of being an answer."""

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "changelog.d/README.md")),
    *sorted(DOCS.rglob("*.md")),
]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
CODE = [path for folder in ("src", "tests", "scripts", "bench") for path in sorted((ROOT / folder).rglob("*.py"))]

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_SHELL = re.compile(r"^ *```(?:sh|console|shell)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SETTING = re.compile(r"\w+=")
_YAML = re.compile(r"(?<!<!-- mistakes -->\n)^ *```yaml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_TODO = re.compile(r"\b(?:TODO|FIXME|XXX)\b(?!.*#\d)")
_QUICK = re.compile(r"\bassert\b.*\b(?:monotonic|perf_counter)\(\) - \w+\)? *<")
_FRAGMENT = re.compile(r"\d+\.(?:added|changed|deprecated|removed|fixed|security)\.md")


def named(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_a_file_is_a_page_that_can_be_read() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in CODE}
    long = {name: count for name, count in lines.items() if count > FILE_LINE_LIMIT}
    assert long == {}


def test_modules_are_named_for_what_is_in_them() -> None:
    names = {part for path in SOURCES for part in path.relative_to(ROOT / "src").with_suffix("").parts}
    assert not names & BANNED_NAMES


def test_base_modules_have_siblings() -> None:
    lonely = [path for path in SOURCES if path.name == "base.py" and len(list(path.parent.glob("[!_]*.py"))) == 1]
    assert lonely == []


def comments_of(path: Path) -> Iterator[str]:
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    return (token.string for token in tokens if token.type == tokenize.COMMENT)


def test_what_is_left_to_do_has_a_number() -> None:
    suspects = [path for path in CODE if _TODO.search(path.read_text())]
    assert [f"{path.name}: {text}" for path in suspects for text in comments_of(path) if _TODO.search(text)] == []


def descendants(kind: type[errors.MoorageError]) -> set[type[errors.MoorageError]]:
    return {kind}.union(*(descendants(child) for child in kind.__subclasses__()))


def test_no_test_asserts_that_something_was_quick() -> None:
    """A machine at work on something else is not a mistake: what must not wait is shown by the order of events."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if _QUICK.search(line)
    ]
    assert not found


def ours() -> set[type[errors.MoorageError]]:
    """The errors of the tree and its branches; a room may refine one for its own use."""
    homes = {module.__name__ for module in TREE}
    return {kind for kind in descendants(errors.MoorageError) if kind.__module__ in homes}


def test_every_error_has_a_status_and_a_code() -> None:
    assert ours() - NEVER_ANSWERED == set(wire_errors.TABLE)


def test_every_error_is_in_the_drawing_of_the_tree() -> None:
    drawings = [name for module in TREE for name in re.findall(r"─ (\w+)", inspect.getdoc(module) or "")]
    assert sorted([*drawings, errors.MoorageError.__name__]) == sorted(kind.__name__ for kind in ours())


def test_every_status_and_code_is_in_the_reference() -> None:
    page = (REFERENCE / "errors.md").read_text()
    for kind, (status, code) in wire_errors.TABLE.items():
        (row,) = [line for line in page.splitlines() if line.endswith(f"`{kind.__name__}` |")]
        assert row.startswith(f"| {status} | `{code}` |")


def test_every_configuration_key_is_in_the_reference() -> None:
    page = (REFERENCE / "configuration.md").read_text()
    fields = config.describe()
    assert fields
    assert [field.path for field in fields if f"`{field.path}`" not in page] == []
    assert [field.variable for field in fields if f"`{field.variable}`" not in page] == []


def commands(name: str, command: object) -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    assert isinstance(command, TyperCommand | TyperGroup)
    yield name, command
    if isinstance(command, TyperGroup):
        for sub, found in command.commands.items():
            yield from commands(f"{name} {sub}", found)


def whole_tree() -> LazyGroup:
    group = typer.main.get_command(app)
    assert isinstance(group, LazyGroup)
    return group.load_all()


def test_every_command_has_an_example_and_its_line_is_seen_whole() -> None:
    for name, command in commands("moorage", whole_tree()):
        words = name.partition(" ")[2]
        if isinstance(command, TyperCommand):
            assert NOTES[words].example.startswith(f"moorage {words}"), name
            example = shlex.split(NOTES[words].example)[len(words.split()) + 1 :]
            assert command.make_context(name, example, resilient_parsing=False) is not None, name
        elif words:
            rows = [command.get_short_help_str(200) for _, command in command.commands.items()]
            assert [row for row in rows if len(row) > 58 or row.endswith("...")] == [], name
    assert [row.line for rows in COMMANDS.values() for row in rows if len(row.line) > 58] == []


def test_the_help_of_every_command_is_plain_text() -> None:
    assert [name for name, command in commands("moorage", whole_tree()) if command.rich_markup_mode is not None] == []


def test_the_help_of_no_command_has_signs_that_a_person_has_to_guess() -> None:
    """Types as Python calls them, and brackets that say nothing."""
    signs = re.compile(r"<[a-z ]+>|\{[A-Z_/]+\}|\[\[")
    shown = {
        name: command.make_context(name, [], resilient_parsing=True).get_help()
        for name, command in commands("moorage", whole_tree())
    }
    assert {name: signs.findall(text) for name, text in shown.items() if signs.search(text)} == {}


def shown_commands(page: Path) -> Iterator[list[str]]:
    """The arguments of every ``moorage`` that a page's blocks for a shell have a reader type."""
    for block in _SHELL.findall(page.read_text()):
        prompt = "$ " if "$ " in block[:2] else ""  # With it, the other lines are what was printed.
        for line in block.replace("\\\n", " ").splitlines():
            if not line.startswith(prompt):
                continue
            with contextlib.suppress(ValueError):  # Half of what is quoted over several lines.
                words = shlex.shlex(line.removeprefix(prompt), posix=True, punctuation_chars=True)
                words.whitespace_split = True
                yield from moorage_commands(list(words))


def moorage_commands(words: list[str]) -> Iterator[list[str]]:
    """The arguments of each ``moorage`` of a line, between what a shell keeps for itself."""
    for is_shell, found in itertools.groupby(words, key=lambda word: set(word) <= set("();<>|&")):
        command = list(itertools.dropwhile(lambda word: word == "sudo" or _SETTING.match(word), found))
        if not is_shell and command and command[0].rpartition("/")[2].removeprefix("$") == "moorage":
            yield command[1:]


def test_every_command_on_a_page_can_be_typed() -> None:
    pages = [page for page in PAGES if page.parent.name not in ("adr", "reference")]
    shown = [(page, arguments) for page in pages for arguments in shown_commands(page)]
    assert len(shown) > LEAST_SHOWN
    tree, mistakes = whole_tree(), []
    for page, arguments in shown:
        command: TyperCommand | TyperGroup = tree
        rest = list(arguments)
        while isinstance(command, TyperGroup) and rest and rest[0] in command.commands:
            command = command.commands[rest.pop(0)]  # type: ignore[assignment] # Typer's
        try:
            command.make_context("moorage", rest)
        except USAGE_ERROR as exc:
            mistakes.append(f"{page.relative_to(ROOT)}: moorage {' '.join(arguments)}: {exc}")
    assert mistakes == []


def test_every_note_is_about_a_command() -> None:
    names = {name.partition(" ")[2] for name, _ in commands("moorage", whole_tree())}
    assert set(NOTES) - names == set()


def test_every_command_and_option_is_in_the_reference() -> None:
    sections = dict(
        re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", (REFERENCE / "cli.md").read_text(), re.MULTILINE | re.DOTALL)
    )
    for name, command in commands("moorage", whole_tree()):
        options = [option for found in command.params if isinstance(found, TyperOption) for option in found.opts]
        assert [option for option in options if f"`{option}`" not in sections[name]] == [], name


def test_every_endpoint_is_in_the_reference() -> None:
    page = (REFERENCE / "api.md").read_text()
    rows = [*v2_operations.OPERATIONS, *gitlab_operations.OPERATIONS, *moorage_api.EVERY_OPERATION]
    assert [row.endpoint.title for row in rows if f"## {row.endpoint.title}\n" not in page] == []


def anchors_of(page: Path) -> set[str]:
    headings = _HEADING.findall(_FENCED.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCED.sub("", page.read_text())):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def test_every_page_can_be_found_from_the_index() -> None:
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in _LINK.findall((DOCS / "README.md").read_text())}
    pages = {page for page in DOCS.rglob("*.md") if page.parent != DOCS / "adr" and page != DOCS / "README.md"}
    assert pages - linked == set()


def test_the_readme_begins_with_running_and_testing() -> None:
    first_block = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)[0]
    assert [line.split("#")[0].strip() for line in first_block.splitlines()] == ["make run", "make test"]


def test_the_configurations_in_the_pages_are_good() -> None:
    samples = [(page, text) for page in PAGES for text in _YAML.findall(page.read_text())]
    assert len(samples) > 5
    for page, sample in samples:
        text = textwrap.dedent(sample)
        given = yaml.safe_load(text)
        if given.keys() & CONTROL_KEYS:
            ControlConfiguration.model_validate(given)
            continue
        whole = {"version": "0.1", **given, "storage": {"inmemory": None, **given.get("storage", {})}}
        if whole["storage"].keys() & (DRIVERS.keys() - {"inmemory"}):
            del whole["storage"]["inmemory"]
        loaded = config.load(yaml.safe_dump(whole), {})
        assert (page.name, loaded.warnings, loaded.not_implemented) == (page.name, (), ()), text


def test_the_mistakes_that_a_page_shows_are_those_that_are_found() -> None:
    page = (DOCS / "how-to" / "configure.md").read_text()
    (sample,) = re.findall(r"^<!-- mistakes -->\n```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (said,) = re.findall(r"^<!-- says -->\n```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    with pytest.raises(errors.ConfigurationError) as raised:
        config.load(sample, {})
    assert said.splitlines() == [f"error: {mistake}" for mistake in raised.value.mistakes]


def test_every_documented_make_target_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = [*PAGES, ROOT / ".ci" / "run"]
    assert {name for page in texts for name in re.findall(r"\bmake ([a-z][a-z-]*)`", page.read_text())} <= targets


def test_the_changelog_has_every_fragment() -> None:
    page = " ".join((ROOT / "CHANGELOG.md").read_text().split())
    fragments = [path for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md"]
    assert [path.name for path in fragments if " ".join(path.read_text().split()) not in page] == []  # make docs


def test_changelog_fragments_are_one_sentence_each() -> None:
    fragments = [path for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md"]
    assert [path.name for path in fragments if not _FRAGMENT.fullmatch(path.name)] == []
    assert [path.name for path in fragments if not re.fullmatch(r"[A-Z`][^\n]*\.\n", path.read_text())] == []


@pytest.mark.parametrize(
    ("index", "pages"),
    [("README.md", ["how-to", "explanation", "tutorial", "reference"]), ("adr/README.md", ["adr"])],
    ids=["documentation", "decisions"],
)
def test_each_page_is_in_the_index_once(index: str, pages: list[str]) -> None:
    text, folder = (DOCS / index).read_text(), (DOCS / index).parent
    found = [page for part in pages for page in (DOCS / part).glob("*.md") if page.name != "README.md"]
    counts = {page.name: text.count(f"({page.relative_to(folder)})") for page in found}
    assert {name: count for name, count in counts.items() if count != 1} == {}
