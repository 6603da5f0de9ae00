"""Handlers of ``/moorage/v1/`` for the registry's own state."""

from collections.abc import Mapping
from datetime import UTC, datetime

from moorage.http.call import Call
from moorage.http.moorage_v1 import state_models as shown
from moorage.http.moorage_v1 import state_operations as rows
from moorage.http.moorage_v1.answers import json_response
from moorage.http.moorage_v1.requests import NoQuery, parse_query
from moorage.http.node_status import NodeStatus
from moorage.http.operations import Handler, Operation
from moorage.integrity.progress import known_checks
from moorage.metadata.adoptions import AdoptionFindings, AdoptionLedger
from moorage.metadata.background.background_migrations import progress
from moorage.sql.base import Database
from moorage.storage.base import StorageDriver
from moorage.web.responses import Response


class StateHandlers:
    """Answers of a registry about itself, whatever keeps its metadata."""

    def __init__(self, status: NodeStatus, storage: StorageDriver) -> None:
        self._status = status
        self._storage = storage

    @property
    def handlers(self) -> Mapping[Operation, Handler]:
        """The handler of each row of the table that needs no database."""
        return {rows.SHOW_STATUS: self.status, rows.SHOW_INTEGRITY: self.integrity}

    async def status(self, call: Call) -> Response:
        """Answer with the state of every part."""
        parse_query(NoQuery, call.query)
        return json_response(shown.status(await self._status.ask()))

    async def integrity(self, call: Call) -> Response:
        """Answer with what the last check has found."""
        parse_query(NoQuery, call.query)
        return json_response(shown.integrity(await known_checks(self._storage)))


class DatabaseStateHandlers:
    """Answers of a registry about the work on its metadata database."""

    def __init__(self, database: Database, ledger: AdoptionLedger, *, migrates: bool) -> None:
        """*migrates*: this node does background migrations."""
        self._database = database
        self._ledger = ledger
        self._migrates = migrates

    @property
    def handlers(self) -> Mapping[Operation, Handler]:
        """The handler of each row of the table that needs a database."""
        return {rows.SHOW_MIGRATIONS: self.migrations, rows.SHOW_ADOPTION: self.adoption}

    async def migrations(self, call: Call) -> Response:
        """Answer with the state of every background migration."""
        parse_query(NoQuery, call.query)
        return json_response(shown.migrations(await progress(self._database), migrates=self._migrates))

    async def adoption(self, call: Call) -> Response:
        """Answer with how far link files are taken over."""
        parse_query(NoQuery, call.query)
        found = await self._ledger.progress()
        findings = AdoptionFindings() if found is None else await self._ledger.findings(limit=shown.SHOWN)
        return json_response(shown.adoption(found, findings, now=datetime.now(UTC)))
