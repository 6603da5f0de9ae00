"""Single steps on one SQLAlchemy connection: Alembic keeps the versions and their order, our files hold the statements.

A step and the notes that it was done (Alembic's version, and our row with the time) are one transaction.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType, ModuleType

from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script.base import Script
from alembic.script.revision import RevisionMap
from sqlalchemy import Connection, text

from moorage.errors import MigrationFailed
from moorage.metadata.schema.chains import Applied, Chain, Chains, ChainStep, Direction, Migration, Phase, bookkeeping
from moorage.sql.base import Dialect, microseconds, moment

_NEXT = "-- next --\n"
_HISTORY = "SELECT phase, name, applied_at, oldest_code FROM moorage_migrations ORDER BY phase DESC, name"
_NOTE = "INSERT INTO moorage_migrations (phase, name, applied_at, oldest_code) VALUES (:phase, :name, :at, :oldest)"
_FORGET = "DELETE FROM moorage_migrations WHERE phase = :phase AND name = :name"


class MigrationSteps:
    """Applies and undoes migrations on *connection*; *run* runs a text of many statements on it.

    *settings*: of the server, by their name, for the time of a migration.
    """

    def __init__(
        self,
        connection: Connection,
        chains: Chains,
        run: Callable[[str], None],
        *,
        settings: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._connection = connection
        self._chains = chains
        self._run = run
        self._settings = settings
        self._dialect: Dialect = "sqlite" if connection.dialect.name == "sqlite" else "postgres"

    def prepare(self) -> None:
        """Make the tables that say what was applied."""
        with self._connection.begin():
            self._run(bookkeeping(self._dialect))

    def history(self) -> Sequence[Applied]:
        """Return what was applied, in order."""
        with self._connection.begin():
            rows = self._connection.execute(text(_HISTORY)).all()
        return [Applied(phase, name, moment(at), oldest) for phase, name, at, oldest in rows]

    def take(self, step: ChainStep, direction: Direction) -> bool:
        """Apply or undo one migration; False: somebody else has done it meanwhile. The whole step is kept or nothing.

        Raises:
            MigrationFailed: it is not this one's turn, or there is no script for it.
        """
        chain = self._chains.of(step.phase)
        script = chain.script(step.migration, self._dialect, direction)
        if script is None:
            msg = f"{step.phase} migration {step.migration.name}: no {direction} script for {self._dialect}"
            raise MigrationFailed(msg)
        if not step.migration.in_transaction and self._dialect == "postgres":
            self._run_one_by_one(script)
            script = ""
        with self._connection.begin():
            for name, value in self._settings.items():
                self._run(f"SET LOCAL {name} = {value}")
            return self._in_transaction(chain, step.migration, direction, script)

    def _run_one_by_one(self, script: str) -> None:
        connection = self._connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            settings = [f"SET {name} = {value}" for name, value in self._settings.items()]
            for statement in [*settings, *script.split(_NEXT)]:
                with connection.begin():
                    self._run(statement)
        finally:
            with connection.begin():
                self._run("".join(f"RESET {name};" for name in self._settings))
            connection.execution_options(isolation_level="READ COMMITTED")

    def _in_transaction(self, chain: Chain, migration: Migration, direction: Direction, script: str) -> bool:
        done = []

        def move() -> None:
            if script:
                self._run(script)
            done.append(migration)

        revisions = _revisions(chain, move)

        def steps(heads: Sequence[str], _context: MigrationContext) -> Iterable[RevisionStep]:
            revision = revisions.get_revision(migration.revision)
            assert isinstance(revision, Script)  # noqa: S101 - mypy: we put it there
            place = _place(chain, heads)
            turn = chain.migrations.index(migration)
            if direction == "up":
                return _one(place, turn, MigrationStep.upgrade_from_script(revisions, revision), migration)
            return _one(turn + 1, place, MigrationStep.downgrade_from_script(revisions, revision), migration)

        def note(**_: object) -> None:
            self._note(chain.phase, migration, direction)

        options = {"version_table": chain.version_table, "fn": steps, "on_version_apply": [note]}
        MigrationContext.configure(self._connection, opts=options).run_migrations()
        return bool(done)

    def _note(self, phase: Phase, migration: Migration, direction: Direction) -> None:
        key = {"phase": phase, "name": migration.name}
        if direction == "down":
            self._connection.execute(text(_FORGET), key)
            return
        now = datetime.now(UTC)
        at = microseconds(now) if self._dialect == "sqlite" else now
        self._connection.execute(text(_NOTE), {**key, "at": at, "oldest": migration.oldest_code})


def _revisions(chain: Chain, move: Callable[[], None]) -> RevisionMap:
    before: str | None = None
    scripts = []
    for migration in chain.migrations:
        module = ModuleType(migration.name)
        vars(module).update(down_revision=before, upgrade=move, downgrade=move)
        scripts.append(Script(module, migration.revision, migration.name))
        before = migration.revision
    return RevisionMap(lambda: scripts)


def _place(chain: Chain, heads: Sequence[str]) -> int:
    """Count the applied migrations of the chain, as Alembic's table has it."""
    revisions = [migration.revision for migration in chain.migrations]
    if heads and heads[0] not in revisions:
        msg = f"the database is at {chain.phase} migration {heads[0]}, which this version of Moorage does not know"
        raise MigrationFailed(msg)
    return revisions.index(heads[0]) + 1 if heads else 0


def _one(have: int, need: int, step: RevisionStep, migration: Migration) -> Iterable[RevisionStep]:
    """The step if it is its turn; nothing if it was taken already."""
    if have > need:
        return []
    if have < need:
        msg = f"it is not the turn of migration {migration.name}: the database has changed meanwhile"
        raise MigrationFailed(msg)
    return [step]
