"""Runs of ``moorage background-migrate``, and the output."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from moorage.cli.bars import Bars
from moorage.cli.tables import print_table
from moorage.metadata.background import background_migrations as background
from moorage.metadata.background import background_runner
from moorage.metadata.schema.chains import refused
from moorage.metadata.schema.migrator import database
from moorage.sql.base import Database
from moorage.starting.database_choice import database_to_migrate

_ATTEMPTS_LIMIT = 10

_T = TypeVar("_T")


def status(config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Print all background migrations."""
    found = _with_database(config, data, background.progress)
    if as_json:
        print(json.dumps({"migrations": [_as_json(item) for item in found]}, indent=2))
        return
    rows = [(item.migration.name, item.migration.status.name.lower(), f"{item.done:.1%}") for item in found]
    print_table(("Batched Background Migration", "Status", "Done"), rows)


def pause(config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Pause what is at work."""
    _print_names(_with_database(config, data, background.pause), "paused", as_json=as_json)


def resume(config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Go on with what was paused."""
    _print_names(_with_database(config, data, background.resume), "resumed", as_json=as_json)


def run(config: Path | None, data: Path | None, *, attempt_limit: int, as_json: bool) -> None:
    """Run everything to its end, with a bar for each on a terminal.

    Raises:
        ConfigurationError: not 1 to 10 attempts.
        MigrationFailed: one could not be finished.
    """
    if not 1 <= attempt_limit <= _ATTEMPTS_LIMIT:
        msg = "limit must be greater than 0 and less than 10"
        raise refused(msg)
    with Bars() as bars:
        finished = _with_database(
            config,
            data,
            lambda found: background_runner.run_all(found, attempt_limit=attempt_limit, reports=bars),
        )
    print(json.dumps({"finished": finished}) if as_json else f"OK: finished {finished} background migration(s)")


def _with_database(config: Path | None, data: Path | None, do: Callable[[Database], Awaitable[_T]]) -> _T:
    async def main() -> _T:
        async with database(database_to_migrate(config, data)) as found:
            return await do(found)

    return asyncio.run(main())


def _print_names(names: Sequence[str], done: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"migrations": names}))
    else:
        print("\n".join(f"{done}: {name}" for name in names) or f"nothing to be {done}")


def _as_json(item: background.MigrationProgress) -> dict[str, object]:
    migration = item.migration
    return {
        "name": migration.name,
        "status": migration.status.name.lower(),
        "done": round(item.done, 4),
        "finished_jobs": item.finished_jobs,
        "failed_jobs": item.failed_jobs,
        "failure": None if migration.failure is None else migration.failure.name.lower(),
    }
