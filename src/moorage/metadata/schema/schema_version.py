"""The schema's version: whether this code may use a database. Light to import, as every start asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from moorage.metadata.schema import sqlite_migrations as sqlite
from moorage.metadata.schema.chains import CHAINS, GITLABS, Applied, Chains, ChainStep, Phase, refused
from moorage.metadata.schema.migration_plan import Wish, plan_up, unknown
from moorage.sql.base import Database, NamedQuery, moment

PENDING = "there are pending database migrations, use the 'moorage database migrate up' command to check and apply them"

_HAS_NOTES = NamedQuery(
    "has_migrations",
    "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'moorage_migrations'",
    "SELECT 1 WHERE to_regclass('moorage_migrations') IS NOT NULL",
)
_IS_GITLABS = NamedQuery(
    "is_gitlabs",
    "SELECT 1 WHERE FALSE",
    "SELECT 1 WHERE to_regclass('schema_migrations') IS NOT NULL AND to_regclass('moorage_migrations') IS NULL",
)
_NOTES_TEXT = "SELECT phase, name, applied_at, oldest_code FROM moorage_migrations"
_NOTES = NamedQuery("migrations", _NOTES_TEXT, _NOTES_TEXT)

Verdict = Literal["current", "post-deployment pending", "newer and compatible", "too old", "too new"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaState:
    """The result of a comparison of a database's schema with this code."""

    verdict: Verdict
    pending: Sequence[ChainStep] = ()
    """Migrations that this code knows and the database does not have."""
    newer: Sequence[Applied] = ()
    """Migrations that the database has and this code does not know."""
    newest: str = ""
    """The last pre-deployment migration that this code knows."""

    def refuse(self) -> None:
        """Stop a start that would go wrong; say what mends it.

        Raises:
            ConfigurationError: the schema is too old or too new.
        """
        if self.verdict == "too old":
            raise refused(PENDING)
        self.refuse_too_new()

    def refuse_too_new(self) -> None:
        """Stop what would migrate a schema that needs newer code.

        Raises:
            ConfigurationError: the schema is too new.
        """
        if self.verdict == "too new":
            flags = [f"{flag} {count}" for flag, count in self._newer_counts().items() if count]
            msg = (
                f"the database's schema is too new for this version of Moorage, which knows it up to {self.newest}: "
                f"start the version that migrated it to {self.newer[-1].name}, or take it back with that version's "
                f"'moorage database migrate down {' '.join(flags)}'"
            )
            raise refused(msg)

    def _newer_counts(self) -> dict[str, int]:
        phases: list[Phase] = [row.phase for row in self.newer]
        return {"-n": phases.count("pre-deployment"), "-p": phases.count("post-deployment")}


async def check(database: Database, chains: Chains = CHAINS) -> SchemaState:
    """Compare a database's schema with what this code knows, in two small queries.

    Raises:
        ConfigurationError: it is the database of GitLab's registry.
    """
    if await database.first(_HAS_NOTES) is None:
        if await database.first(_IS_GITLABS) is not None:
            raise refused(GITLABS)
        return judge([], chains)
    rows = await database.all(_NOTES)
    return judge([Applied(phase, name, moment(at), oldest) for phase, name, at, oldest in rows], chains)


def judge(history: Sequence[Applied], chains: Chains = CHAINS) -> SchemaState:
    """Compare *history*, the migrations that a database has, with what this code knows.

    Migrations of newer code do not hinder, unless one of them says that it needs code that knows more than this does.
    """
    there = {(row.phase, row.name) for row in history}
    pending = [step for step in chains.steps() if (step.phase, step.migration.name) not in there]
    newer = sorted(unknown(chains, history), key=lambda row: (row.phase == "pre-deployment", row.name))
    verdict: Verdict = "current"
    if max((row.oldest_code for row in history), default=0) > chains.pre.newest:
        verdict = "too new"
    elif any(step.phase == "pre-deployment" for step in pending):
        verdict = "too old"
    elif newer:
        verdict = "newer and compatible"
    elif pending:
        verdict = "post-deployment pending"
    newest = chains.pre.migrations[-1].name if chains.pre.migrations else ""
    return SchemaState(verdict=verdict, pending=pending, newer=newer, newest=newest)


def migrate_sqlite(path: Path, chains: Chains = CHAINS) -> Sequence[ChainStep]:
    """Bring an SQLite file, which is made if it is not there, to this code's schema; return what was applied.

    Processes that start at once wait for each other. A post-deployment migration that waits for a background one is
    left for the next time.

    Raises:
        ConfigurationError: the file's schema is too new, or it is a database of something else.
        MigrationFailed: a migration failed. What was before it is kept.
        DatabaseUnavailable: the file cannot be opened or written to.
    """
    filled = sqlite.fill(path, chains)
    if filled is not None:
        return filled
    history = sqlite.read_history(path)
    judge(history, chains).refuse_too_new()
    if not plan_up(chains, history, Wish()):
        return []
    return _upgrade(path, chains)


def needs_background(step: ChainStep, missing: Sequence[str]) -> str:
    """Say why a migration is not applied."""
    return (
        f"the {step.phase} migration {step.migration.name} needs the background migration "
        f"{', '.join(missing)} to be finished: run 'moorage background-migrate run', then migrate again"
    )


def _upgrade(path: Path, chains: Chains) -> Sequence[ChainStep]:
    done = []
    with sqlite.opened(path, chains) as steps:
        for step in plan_up(chains, steps.history(), Wish()):
            missing = sqlite.unfinished(path, step.migration.requires_background)
            if missing and step.phase == "post-deployment":
                break
            if missing:
                raise refused(needs_background(step, missing))
            if steps.take(step, "up"):
                done.append(step)
    return done
