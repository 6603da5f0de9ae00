"""The migrations and their order; nothing here talks to a database."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from moorage.errors import ConfigurationError, Mistake
from moorage.sql.base import Dialect

GITLABS = (
    "the database belongs to GitLab's registry (it has its table schema_migrations): Moorage needs a database of its "
    "own"
)

Phase = Literal["pre-deployment", "post-deployment"]
Direction = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema: ``NNNN_name`` and what it needs."""

    name: str
    oldest_code: int
    """Code may use the schema from here on if it knows the pre-deployment migration of this number."""
    requires: tuple[str, ...] = ()
    """Migrations of the other chain that have to be there first."""
    requires_background: tuple[str, ...] = ()
    """Background migrations that have to be finished first."""
    in_transaction: bool = True
    """False, only for PostgreSQL: statements, with ``-- next --`` between them, run one by one, outside a transaction
    (CREATE INDEX CONCURRENTLY). After a failure they are all run again, and have to bear it."""

    @property
    def number(self) -> int:
        """Its place in the chain."""
        return int(self.name.partition("_")[0])

    @property
    def revision(self) -> str:
        """As Alembic's table has it."""
        return self.name.partition("_")[0]


class ChainStep(NamedTuple):
    """A migration of a chain."""

    phase: Phase
    migration: Migration


class Applied(NamedTuple):
    """A migration that a database has."""

    phase: Phase
    name: str
    applied_at: datetime
    oldest_code: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Migrations in the order in which they are applied."""

    phase: Phase
    folder: Path
    migrations: tuple[Migration, ...] = ()

    @property
    def version_table(self) -> str:
        """Alembic's table of this chain."""
        return "moorage_pre_version" if self.phase == "pre-deployment" else "moorage_post_version"

    @property
    def newest(self) -> int:
        """The number of the last migration; 0: there is none."""
        return self.migrations[-1].number if self.migrations else 0

    def script(self, migration: Migration, dialect: Dialect, direction: Direction) -> str | None:
        """The text of a migration; None if there is none for that direction."""
        file = self.folder / f"{migration.name}.{dialect}.{'sql' if direction == 'up' else 'down.sql'}"
        return file.read_text(encoding="utf-8") if file.is_file() else None


@dataclass(frozen=True, slots=True)
class Chains:
    """Both chains."""

    pre: Chain
    post: Chain

    def of(self, phase: Phase) -> Chain:
        """The chain of a phase."""
        return self.pre if phase == "pre-deployment" else self.post

    def steps(self) -> Sequence[ChainStep]:
        """Every migration, those before a deployment first."""
        return [ChainStep(chain.phase, migration) for chain in (self.pre, self.post) for migration in chain.migrations]

    def as_of(self, applied: Collection[str]) -> "Chains | None":
        """Return the chains as code knew them when a database had *applied*, each ``phase name``; None: no code did."""
        chains = [
            replace(chain, migrations=tuple(one for one in chain.migrations if f"{chain.phase} {one.name}" in applied))
            for chain in (self.pre, self.post)
        ]
        known = sum(len(chain.migrations) for chain in chains)
        is_beginning = all(
            self.of(chain.phase).migrations[: len(chain.migrations)] == chain.migrations for chain in chains
        )
        return Chains(*chains) if is_beginning and known == len(applied) else None

    def needed_up_to(self, phase: Phase, name: str) -> Sequence[ChainStep]:
        """The migration of that *name* and those before it."""
        chain = self.of(phase)
        place = [migration.name for migration in chain.migrations].index(name)
        return [ChainStep(phase, migration) for migration in chain.migrations[: place + 1]]


def other(phase: Phase) -> Phase:
    """The other phase."""
    return "post-deployment" if phase == "pre-deployment" else "pre-deployment"


def refused(message: str) -> ConfigurationError:
    """Return the error that stops a start or a command before anything is done; *message* is one sentence."""
    return ConfigurationError([Mistake("", message)])


_HERE = Path(__file__).parent

CHAINS = Chains(
    pre=Chain(
        "pre-deployment",
        _HERE / "pre",
        (
            Migration("0001_initial", oldest_code=1),
            Migration("0002_background_migrations", oldest_code=1),
            Migration("0003_online_garbage_collection", oldest_code=3),
            Migration("0004_collection_progress", oldest_code=3),
            Migration("0005_sizes_of_annotations", oldest_code=3, in_transaction=False),
            Migration("0006_notifications", oldest_code=3),
            Migration("0007_adoptions", oldest_code=3),
            Migration("0008_large_repositories", oldest_code=3),
            Migration("0009_placed_blobs", oldest_code=3),
            Migration("0010_very_many_notices", oldest_code=3),
            Migration("0011_import_statistics", oldest_code=3),
            Migration("0012_kept_plans", oldest_code=3),
        ),
    ),
    post=Chain("post-deployment", _HERE / "post"),
)
"""The migrations that this version of Moorage knows."""


def bookkeeping(dialect: Dialect) -> str:
    """Return statements that make the tables of what was applied, where they are not there yet."""
    return (_HERE / f"bookkeeping.{dialect}.sql").read_text(encoding="utf-8")
