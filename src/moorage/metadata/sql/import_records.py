"""Records of imports, in the database."""

from collections.abc import Sequence
from datetime import datetime

from moorage.metadata.import_records import ImportPhase, ImportRecord, ImportRecords, PhaseRecord
from moorage.sql.base import Database, Row, Value, maybe_moment, moment
from moorage.sql.queries import load_queries

_QUERIES = load_queries("moorage.metadata.sql", "import_records")


class SqlImportRecords(ImportRecords):
    """A row for each run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, record: ImportRecord) -> int:
        ((number,),) = await self._database.write(_QUERIES["begin_import"], record.started_at, record.storage_driver)
        return int(number)

    async def write(self, number: int, record: ImportRecord) -> None:
        phases = [_columns(record.phases.get(phase)) for phase in ImportPhase]
        counts = (record.repositories, record.tags, record.manifests, record.blobs, record.blobs_size_bytes)
        values = (number, record.finished_at, *(value for phase in phases for value in phase), *counts)
        await self._database.write(_QUERIES["write_import"], *values)

    async def newest(self, limit: int) -> Sequence[tuple[int, ImportRecord]]:
        rows = await self._database.all(_QUERIES["newest_imports"], limit)
        return [(row[0], _record(row)) for row in reversed(rows)]


def _columns(phase: PhaseRecord | None) -> tuple[Value, Value, Value]:
    return (None, None, None) if phase is None else (phase.started_at, phase.finished_at, phase.error or None)


def _record(row: Row) -> ImportRecord:
    _, driver, started_at, finished_at, *columns = row[:13]
    repositories, tags, manifests, blobs, blobs_size_bytes = row[13:]
    phases = {phase: columns[3 * place : 3 * place + 3] for place, phase in enumerate(ImportPhase)}
    return ImportRecord(
        storage_driver=driver,
        started_at=moment(started_at),
        finished_at=maybe_moment(finished_at),
        phases={phase: _phase(*found) for phase, found in phases.items() if found[0] is not None},
        repositories=repositories,
        tags=tags,
        manifests=manifests,
        blobs=blobs,
        blobs_size_bytes=blobs_size_bytes,
    )


def _phase(started_at: datetime | int, finished_at: datetime | int | None, error: str | None) -> PhaseRecord:
    return PhaseRecord(moment(started_at), maybe_moment(finished_at), error or "")
