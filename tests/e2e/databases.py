"""Daemons whose metadata is in a database, and that database read past them: is the journal what was acknowledged?"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import yaml

from e2e.settings import config_for
from e2e.storm import Account
from support.postgres import Postgres

_COLUMNS = "id, action, repository_id, repository, tag, {}(from_digest), {}(to_digest), request_id"


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the journal, oldest id first."""

    action: str
    repository_id: int
    repository: str
    tag: str
    source: str
    """The digest before; empty: none."""
    target: str
    """The digest after; empty: none."""


def sqlite_config(folder: Path, path: Path | None = None) -> str:
    """A configuration with deletion on and the database beside the data, or at *path*."""
    return _with_database(config_for(folder), {"enabled": True, "sqlite": str(path or sqlite_path(folder))})


def sqlite_path(folder: Path) -> Path:
    """Where the database of ``Daemon(folder)`` is, as without a configuration."""
    return folder / "data" / "moorage.db"


def end_leases(path: Path) -> None:
    """As if the leases of a daemon that was killed had run out before the next one starts."""
    with closing(sqlite3.connect(path, timeout=10)) as connection, connection:
        connection.execute("UPDATE leases SET expires_at = 0")


def postgres_config(folder: Path, postgres: Postgres, dbname: str, *, secret: str) -> str:
    """A configuration with deletion on, for one of several nodes that share *secret*."""
    section = yaml.safe_load(postgres.config_section(dbname))["database"]
    return _with_database(config_for(folder, http={"secret": secret}), section)


def sqlite_journal(path: Path) -> list[Entry]:
    """The journal in an SQLite file, read as any other process may."""
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        rows = connection.execute(f"SELECT {_COLUMNS.format('hex', 'hex')} FROM journal ORDER BY id").fetchall()  # noqa: S608 - our own words
    return [_entry(row) for row in rows]


def postgres_journal(postgres: Postgres, dbname: str) -> list[Entry]:
    """The journal in a PostgreSQL database."""
    hexadecimal = "pg_catalog.encode"
    columns = _COLUMNS.format(hexadecimal, hexadecimal).replace("_digest)", "_digest, 'hex')")
    lines = postgres.psql(f"SELECT {columns} FROM journal ORDER BY id", dbname).splitlines()  # noqa: S608 - our own words
    return [_entry(line.split("|")) for line in lines]


def assert_linear(entries: Iterable[Entry]) -> dict[tuple[str, str], str]:
    """Each change of a tag begins where the one before it ended; returns what each tag is after the last one.

    A repository is followed by its id, through its renames.
    """
    tags: dict[tuple[int, str], str] = defaultdict(str)
    for entry in entries:
        if not entry.tag:
            continue
        key = entry.repository_id, entry.tag
        assert entry.source == tags[key], f"{entry} does not follow {tags[key]!r}: an update was lost"
        assert entry.source != entry.target, f"{entry} changes nothing"
        tags[key] = entry.target
    names = {entry.repository_id: entry.repository for entry in entries}
    return {(names[identity], tag): digest for (identity, tag), digest in tags.items() if digest}


def assert_journal_has(entries: list[Entry], account: Account) -> None:
    """What was acknowledged to one pusher is in the journal, and what it says last is how things were left."""
    own = [entry for entry in entries if entry.repository == account.repository]
    tags = {tag: digest for (_, tag), digest in assert_linear(own).items()}
    created = {entry.target for entry in own if entry.action in {"manifest_create", "manifest_restore"}}
    assert account.manifests <= created
    doubtful = account.in_flight[0] if account.in_flight else None
    for tag, digest in account.tags.items():
        assert tag == doubtful or tags.get(tag) == digest, f"{account.repository}:{tag}"
    removed = {entry.tag for entry in own if entry.action == "tag_delete"}
    assert account.untagged <= removed
    assert all(tag == doubtful or tag not in tags for tag in account.untagged)


def _with_database(config: str, section: Mapping[str, object]) -> str:
    tree = yaml.safe_load(config)
    return yaml.safe_dump(tree | {"database": dict(section)})


def _entry(row: Iterable[object]) -> Entry:
    _, action, repository_id, repository, tag, source, target, _ = row
    return Entry(
        str(action), int(str(repository_id)), str(repository), str(tag or ""), _digest(source), _digest(target)
    )


def _digest(hexadecimal: object) -> str:
    text = str(hexadecimal or "").lower()
    return {"": "", "01": "sha256:", "02": "sha512:"}[text[:2]] + text[2:]
