"""The page of the schema, from the migrations' SQL: what there is after all of them, in SQLite and in PostgreSQL.

Only the statements that migrations have are understood. Another one ends the script, so that the page is never
silently behind: teach it here.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from moorage.metadata.schema.chains import CHAINS, bookkeeping
from moorage.sql.base import Dialect

DIALECTS: Sequence[Dialect] = get_args(Dialect)
TITLES: Mapping[Dialect, str] = {"sqlite": "SQLite", "postgres": "PostgreSQL"}

_SQLITE_NOW = "(CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER))"
_TABLE = re.compile(
    r"CREATE TABLE (?:IF NOT EXISTS )?(\w+) \((.*?)\)(?: WITHOUT ROWID)?(?: PARTITION BY (\w+) \((.*)\))?;", re.DOTALL
)
_PARTITION = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?\w+\s+PARTITION OF (\w+) .*;", re.DOTALL)
_ADD = re.compile(r"ALTER TABLE (\w+) ADD COLUMN (?:IF NOT EXISTS )?(.*);", re.DOTALL)
_DROP_COLUMN = re.compile(r"ALTER TABLE (\w+) DROP COLUMN (?:IF EXISTS )?(\w+);")
_DROP = re.compile(r"DROP (?:TABLE|INDEX(?: CONCURRENTLY)?|TRIGGER|FUNCTION) (?:IF EXISTS )?(\w+)\b.*;", re.DOTALL)
_INDEX = re.compile(
    r"CREATE (UNIQUE )?INDEX (?:CONCURRENTLY )?(?:IF NOT EXISTS )?(\w+)\s+ON (\w+) \((.*?)\)"
    r"(?: INCLUDE \((.*?)\))?(?:\s+WHERE (.*))?;",
    re.DOTALL,
)
_TRIGGER = re.compile(
    r"CREATE TRIGGER (\w+) ((?:BEFORE|AFTER) .*?) ON (\w+)(?:\s+WHEN (.*?))?"
    r"\s+(?:BEGIN\b(.*)|(?:REFERENCING .*?)?FOR EACH (ROW|STATEMENT)(?: WHEN \((.*?)\))? EXECUTE FUNCTION (\w+)\(\));",
    re.DOTALL,
)
_FUNCTION = re.compile(
    r"CREATE (?:OR REPLACE )?FUNCTION (\w+)\((.*?)\)\s+RETURNS ([\w\[\]]+)\s+LANGUAGE.*?\$\$(.*)\$\$;", re.DOTALL
)
_IGNORED = re.compile(
    r"(?:INSERT INTO|UPDATE|DELETE FROM|ANALYZE|SELECT|SET|DO|ALTER TABLE \w+ ALTER COLUMN \w+ (?:RE)?SET) "
)
_COLUMN = re.compile(r"(\w+) ([\w()]+(?:\[\])?(?: COLLATE \"C\")?)(?: (.*))?", re.DOTALL)
_TABLE_RULE = re.compile(r"(?:PRIMARY KEY|UNIQUE|CHECK|CONSTRAINT|FOREIGN KEY)\b")
_FOREIGN_KEY = re.compile(r"FOREIGN KEY \((.*?)\) REFERENCES (\w+) \((.*?)\)(.* ON DELETE CASCADE)?.*", re.DOTALL)
_REFERENCE = re.compile(r"REFERENCES (\w+) \((\w+)\)( ON DELETE CASCADE)?")
_COMMENT = re.compile(r"^-- ?(.*)$")
_EVENT = re.compile(r"'([a-z]+_[a-z_]+)'")
_CALL = re.compile(r"\b(\w+)\(")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its type, the rules for its values, and what the file says of it."""

    type: str
    rules: tuple[str, ...]
    note: str


@dataclass(slots=True)
class Table:
    """A table with what belongs to it."""

    about: str
    columns: dict[str, Column]
    rules: list[str]
    indexes: dict[str, str] = field(default_factory=dict)
    triggers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the database."""

    about: str
    parameters: str
    returns: str
    body: str


@dataclass(slots=True)
class Schema:
    """All that the migrations of one dialect make."""

    notes: list[str] = field(default_factory=list)
    function_notes: list[str] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)


def schema_of(dialect: Dialect) -> Schema:
    """What a database has after every migration."""
    schema = Schema()
    scripts = [CHAINS.of(step.phase).script(step.migration, dialect, "up") or "" for step in CHAINS.steps()]
    for script in (*scripts, bookkeeping(dialect)):
        text = script.replace("\n-- next --\n", "\n\n").replace(_SQLITE_NOW, "now()")
        notes: list[str] = []
        for about, statement in _statements(text):
            if not statement:
                notes += _sentences(about)
                continue
            (schema.function_notes if statement.startswith("CREATE FUNCTION") else schema.notes).extend(notes)
            notes.clear()
            _apply(schema, about, statement)
    return schema


def schema_lines() -> list[str]:
    """The page, line by line."""
    sqlite, postgres = (schema_of(dialect) for dialect in DIALECTS)
    if sqlite.tables.keys() != postgres.tables.keys():
        message = f"only one dialect has these tables: {sorted(sqlite.tables.keys() ^ postgres.tables.keys())}"
        raise SystemExit(message)
    lines = [
        "# Schema",
        "",
        "The tables of the metadata database after every migration of this version, in SQLite and in PostgreSQL.",
        "[The schema explained](../explanation/schema.md) says why each is there.",
        "",
        "They may change with any version: read them, and let Moorage write them.",
        "",
        *(f"- {note}" for note in _paired(sqlite.notes, postgres.notes)),
        "- What is said of neither is so in both. A column may be null unless its rules say otherwise.",
        "",
        "## Tables",
    ]
    for name in sorted(sqlite.tables):
        lines += ["", f"### {name}", "", *_table_lines(sqlite.tables[name], postgres.tables[name])]
    lines += ["", "## Functions of PostgreSQL", "", *postgres.function_notes, ""]
    lines += _rows(
        ("function", "parameters", "gives back", "what is to be known"),
        (
            (f"`{name}`", _first_words(found.parameters), f"`{found.returns}`", found.about)
            for name, found in sorted(postgres.functions.items())
        ),
    )
    return lines


def _statements(script: str) -> Iterator[tuple[str, str]]:
    """Each statement with the comment right above it; a comment with nothing below it comes with an empty one."""
    comment: list[str] = []
    statement: list[str] = []
    for line in [*script.splitlines(), ""]:
        found = _COMMENT.match(line)
        if statement:
            statement.append(line)
        elif found:
            comment.append(found[1])
        elif line:
            statement = [line]
        elif comment:
            yield " ".join(comment), ""
            comment = []
        if statement and _is_whole("\n".join(statement)):
            yield " ".join(comment), "\n".join(statement)
            comment, statement = [], []
    if statement:
        message = f"a statement has no end: {statement[0]}"
        raise SystemExit(message)


def _is_whole(statement: str) -> bool:
    if "$$" in statement:
        return statement.count("$$") % 2 == 0 and statement.endswith(";")
    if statement.startswith("CREATE TRIGGER") and re.search(r"\bBEGIN\b", statement):
        return statement.endswith("\nEND;")
    return _without_comments(statement).endswith(";")


def _apply(schema: Schema, about: str, statement: str) -> None:
    text = statement if "$$" in statement else _without_comments(statement)
    for pattern, change in _CHANGES.items():
        found = pattern.fullmatch(text)
        if found:
            change(schema, about, found, statement)
            return
    if not _IGNORED.match(text):
        message = f"{__file__} does not understand this statement yet: {statement}"
        raise SystemExit(message)


def _make_table(schema: Schema, about: str, found: re.Match[str], statement: str) -> None:
    notes = {
        line.split()[0]: line.partition("--")[2].strip() for line in statement.splitlines()[1:] if "--" in line.strip()
    }
    table = Table(about, {}, [])
    for part in _parts(found[2]):
        if _TABLE_RULE.match(part):
            table.rules.append(_rule(part))
        else:
            name, column = _column(part, notes)
            table.columns[name] = column
    if found[3]:
        table.rules.append(f"partitions by {found[3].lower()} of {_codes(found[4])}")
    schema.tables[found[1]] = table


def _make_partition(schema: Schema, about: str, found: re.Match[str], statement: str) -> None:
    """A part of a table that is on the page already; only the comment is news."""
    del statement
    schema.tables[found[1]].rules += [sentence.rstrip(".") for sentence in _sentences(about) if about]


def _add_column(schema: Schema, about: str, found: re.Match[str], statement: str) -> None:
    del statement
    name, column = _column(_flat(found[2]), {})
    schema.tables[found[1]].columns[name] = Column(column.type, column.rules, about)


def _drop_column(schema: Schema, about: str, found: re.Match[str], statement: str) -> None:
    del about, statement
    del schema.tables[found[1]].columns[found[2]]


def _drop(schema: Schema, about: str, found: re.Match[str], statement: str) -> None:
    del about, statement
    schema.tables.pop(found[1], None)
    schema.functions.pop(found[1], None)
    for table in schema.tables.values():
        table.indexes.pop(found[1], None)
        table.triggers.pop(found[1], None)


def _make_index(schema: Schema, about: str, found: re.Match[str], statement: str) -> None:
    del statement
    unique, name, table, columns, included, where = found.groups()
    text = f"{'unique, ' if unique else ''}{_codes(columns)}"
    text += f", with {_codes(included)}" if included else ""
    text += f", where `{_flat(where)}`" if where else ""
    schema.tables[table].indexes[name] = text + (f": {_lowered(about)}" if about else "")


def _make_trigger(schema: Schema, about: str, found: re.Match[str], statement: str) -> None:
    del about, statement
    name, event, table, condition, body, _, row_condition, function = found.groups()
    text = _flat(event).lower()
    condition = condition or row_condition
    if condition:
        text += f" when `{_flat(condition)}`"
    events, queues = _effects(schema, body or schema.functions[function].body)
    text += f", notes {' or '.join(events)} in {' and '.join(queues)}" if queues else f", calls `{function}`"
    schema.tables[table].triggers[name] = text


def _make_function(schema: Schema, about: str, found: re.Match[str], statement: str) -> None:
    del statement
    schema.functions[found[1]] = Function(about, _flat(found[2]), found[3], found[4])


def _effects(schema: Schema, body: str) -> tuple[list[str], list[str]]:
    """The events that a trigger notes, and the tables that it notes them in, itself or by functions that it calls."""
    texts = [body, *(schema.functions[name].body for name in _CALL.findall(body) if name in schema.functions)]
    events = sorted({f"`{name}`" for name in _EVENT.findall(body)})
    tables = sorted({f"`{name}`" for text in texts for name in re.findall(r"INSERT INTO (\w+)", text)})
    return events, tables


_Change = Callable[[Schema, str, "re.Match[str]", str], None]
_CHANGES: Mapping[re.Pattern[str], _Change] = {
    _PARTITION: _make_partition,
    _TABLE: _make_table,
    _ADD: _add_column,
    _DROP_COLUMN: _drop_column,
    _DROP: _drop,
    _INDEX: _make_index,
    _TRIGGER: _make_trigger,
    _FUNCTION: _make_function,
}


def _column(part: str, notes: Mapping[str, str]) -> tuple[str, Column]:
    found = _COLUMN.fullmatch(part)
    if found is None:
        message = f"this is no column that {__file__} understands: {part}"
        raise SystemExit(message)
    name, kind, rest = found.groups(default="")
    return name, Column(kind, tuple(_rules(rest)), notes.get(name, ""))


def _rules(text: str) -> Iterator[str]:
    text = text.replace("GENERATED BY DEFAULT AS IDENTITY", "NOT NULL")
    reference = _REFERENCE.search(text)
    words = _REFERENCE.sub("", text)
    default = re.search(r"DEFAULT ([\w'()-]+)", words)
    check = re.search(r"CHECK \((.*)\)$", words)
    if "PRIMARY KEY" in words:
        yield "primary key"
    elif "NOT NULL" in words:
        yield "never null"
    if "UNIQUE" in words:
        yield "unique"
    if default:
        yield f"default {'now' if default[1] == 'now()' else f'`{default[1]}`'}"
    if reference:
        yield f"an id of `{reference[1]}`{', and removed with it' if reference[3] else ''}"
    if check:
        yield f"`{check[1]}`"


def _rule(text: str) -> str:
    text = re.sub(r"^CONSTRAINT \w+ ", "", text)
    foreign = _FOREIGN_KEY.fullmatch(text)
    if foreign:
        with_it = ", and removed with it" if foreign[4] else ""
        return f"{_codes(foreign[1])}: the {_codes(foreign[3])} of a row of `{foreign[2]}`{with_it}"
    kind, _, rest = text.partition(" (")
    inner = rest.removesuffix(")")
    return f"`{inner}`" if kind == "CHECK" else f"{kind.lower()}: {_codes(inner)}"


def _table_lines(sqlite: Table, postgres: Table) -> Iterator[str]:
    if sqlite.columns.keys() != postgres.columns.keys():
        message = f"only one dialect has these columns: {sorted(sqlite.columns.keys() ^ postgres.columns.keys())}"
        raise SystemExit(message)
    if sqlite.about:
        yield from _sentences(_capitalised(sqlite.about))
        yield ""
    yield from _rows(
        ("column", *TITLES.values(), "rules"),
        (
            (f"`{name}`", f"`{column.type}`", f"`{postgres.columns[name].type}`", _both(column, postgres.columns[name]))
            for name, column in sqlite.columns.items()
        ),
    )
    found = [
        *(f"- {_capitalised(rule)}." for rule in _paired(sqlite.rules, postgres.rules)),
        *(f"- {text}." for text in _paired(*(_named("Index", table.indexes) for table in (sqlite, postgres)))),
        *(f"- {text}." for text in _paired(*(_named("Trigger", table.triggers) for table in (sqlite, postgres)))),
    ]
    if found:
        yield ""
        yield from found


def _both(sqlite: Column, postgres: Column) -> str:
    here, there = "; ".join(sqlite.rules), "; ".join(postgres.rules)
    text = here if here == there else f"SQLite: {here or 'none'}. PostgreSQL: {there or 'none'}"
    return "; ".join(filter(None, [text, sqlite.note]))


def _paired(sqlite: Iterable[str], postgres: Iterable[str]) -> list[str]:
    here, there = list(sqlite), list(postgres)
    only_here = [f"SQLite: {text}" for text in here if text not in there]
    only_there = [f"PostgreSQL: {text}" for text in there if text not in here]
    return [text for text in here if text in there] + only_here + only_there


def _named(kind: str, found: Mapping[str, str]) -> list[str]:
    return [f"{kind} `{name}`: {text}" for name, text in sorted(found.items())]


def _sentences(text: str) -> list[str]:
    return [found.rstrip(".") + "." for found in re.split(r"(?<=\.) (?=[A-Z])", text)]


def _parts(text: str) -> Iterator[str]:
    """What stands between the commas that are in no parenthesis."""
    depth, part = 0, ""
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            yield _flat(part)
            part = ""
        else:
            part += character
    yield _flat(part)


def _codes(columns: str) -> str:
    return ", ".join(f"`{part}`" for part in _parts(columns) if part)


def _first_words(columns: str) -> str:
    return ", ".join(f"`{part.split()[0]}`" for part in _parts(columns) if part)


def _without_comments(statement: str) -> str:
    return re.sub(r" *--.*$", "", statement, flags=re.MULTILINE).strip()


def _flat(text: str) -> str:
    return " ".join(text.split())


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *cells)]
