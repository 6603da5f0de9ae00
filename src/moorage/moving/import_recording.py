"""The record of an import as it goes on: written when it begins, and with each phase that begins or ends.

No import fails for want of its record: what cannot be written then is said in the log of the import, and left out.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

from moorage.errors import BackendError, MoorageError
from moorage.metadata.import_records import ImportPhase, ImportRecord, ImportRecords, PhaseRecord
from moorage.moving.outcome import Teller

_INTERRUPTED = "interrupted"


class ImportRecording:
    """The record of one run; of a run that is killed it stays as it was written last."""

    def __init__(self, records: ImportRecords | None, teller: Teller, storage_driver: str) -> None:
        """*records*: None: there is no record. *teller*: has the counts, and hears of what cannot be written."""
        self._records = records
        self._teller = teller
        self._record = ImportRecord(storage_driver=storage_driver, started_at=_now())
        self._number: int | None = None

    @contextlib.asynccontextmanager
    async def whole(self) -> AsyncIterator[None]:
        """Note when the run begins and when it ends, well or not."""
        self._record = replace(self._record, started_at=_now())
        await self._write()
        try:
            yield
        except (MoorageError, asyncio.CancelledError):
            await self._end()
            raise
        await self._end()

    @contextlib.asynccontextmanager
    async def phases(self, *phases: ImportPhase) -> AsyncIterator[None]:
        """Note when what is done as *phases* begins and ends, and why it failed if it did."""
        begun = PhaseRecord(_now())
        self._note(begun, *phases)
        await self._write()
        try:
            yield
        except MoorageError as exc:
            self._note(replace(begun, finished_at=_now(), error=str(exc) or type(exc).__name__), *phases)
            raise
        except asyncio.CancelledError:
            self._note(replace(begun, finished_at=_now(), error=_INTERRUPTED), *phases)
            raise
        self._note(replace(begun, finished_at=_now()), *phases)
        await self._write()

    def _note(self, found: PhaseRecord, *phases: ImportPhase) -> None:
        self._record = replace(self._record, phases={**self._record.phases, **dict.fromkeys(phases, found)})

    async def _end(self) -> None:
        self._record = replace(self._record, finished_at=_now())
        await self._write()

    async def _write(self) -> None:
        if self._records is None:
            return
        outcome = self._teller.outcome
        self._record = replace(
            self._record,
            repositories=outcome.repositories,
            tags=outcome.tags,
            manifests=outcome.manifests,
            blobs=outcome.common_blobs,
            blobs_size_bytes=outcome.common_blobs_size_bytes,
        )
        try:
            if self._number is None:
                self._number = await self._records.begin(self._record)
            await self._records.write(self._number, self._record)
        except BackendError as exc:
            self._teller.warned(f"the record of this import could not be written: {exc}")


def _now() -> datetime:
    return datetime.now(UTC)
