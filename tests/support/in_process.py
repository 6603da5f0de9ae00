"""A registry over SQLite in this process: its own thread and event loop, a loopback port, storage in memory.

For what has to look at, or reach into, the database beside the registry. Real processes are in ``support/daemon.py``.
"""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from moorage.auth.guards import Guard, OpenGuard
from moorage.cache.known_links import KnownLinks
from moorage.cache.shared_changes import SharedChanges
from moorage.core.blobs import Blobs
from moorage.core.damage import DamageFound
from moorage.core.details import Details
from moorage.core.history import History
from moorage.core.manifest_rules import ManifestRules
from moorage.core.manifests import Manifests
from moorage.core.redirects import Redirects
from moorage.core.renames import Renames
from moorage.core.sizes import Sizes
from moorage.core.uploads import Uploads
from moorage.errors import BackendError, StorageUnavailable
from moorage.gc.online.gc_administration import Collector, GcAdministration
from moorage.gc.online.review_rounds import BlobCollector, Deadlines, ManifestCollector
from moorage.http.app import App, ApplicationRules
from moorage.http.gitlab_v1.gitlab_handlers import GitLabHandlers
from moorage.http.gitlab_v1.gitlab_operations import gitlab_api, gitlab_api_without_database
from moorage.http.gitlab_v1.gitlab_renames import RenameHandler
from moorage.http.moorage_v1.moorage_api import moorage_api, moorage_api_without_database
from moorage.http.moorage_v1.moorage_handlers import MoorageHandlers
from moorage.http.moorage_v1.notification_handlers import NotificationHandlers
from moorage.http.moorage_v1.state_handlers import DatabaseStateHandlers, StateHandlers
from moorage.http.node_status import NodeStatus
from moorage.http.registry_parts import database_parts, integrity_part, nodes_at_work, storage_part
from moorage.http.urls import Urls
from moorage.http.v2.blob_handlers import BlobHandlers
from moorage.http.v2.list_handlers import ListingHandlers
from moorage.http.v2.manifest_handlers import ManifestHandlers
from moorage.http.v2.upload_handlers import UploadHandlers
from moorage.http.v2.upload_states import UploadStates
from moorage.http.v2.v2_operations import v2_api
from moorage.metadata.base import CatalogueStore, LinkStore
from moorage.metadata.base import ManifestStore as ManifestStore
from moorage.metadata.layout import LayoutLinks, LayoutManifests
from moorage.metadata.layout_lists import LayoutCatalogue
from moorage.metadata.payloads import PayloadCache
from moorage.metadata.queues import QUEUES
from moorage.metadata.sql.adoptions import SqlAdoptionLedger
from moorage.metadata.sql.catalogue import SqlCatalogue
from moorage.metadata.sql.details import SqlDetails
from moorage.metadata.sql.explanations import SqlExplanations
from moorage.metadata.sql.history import SqlHistory
from moorage.metadata.sql.import_records import SqlImportRecords
from moorage.metadata.sql.links import SqlLinks
from moorage.metadata.sql.manifests import SqlManifests
from moorage.metadata.sql.outbox import SqlOutbox
from moorage.metadata.sql.queues import SqlQueues
from moorage.metadata.sql.renames import SqlRenames
from moorage.metadata.sql.reviews import SqlBlobReviews, SqlManifestReviews
from moorage.metadata.sql.sizes import SqlSizes
from moorage.metadata.words import Queue
from moorage.notifications.administration import NotificationAdministration
from moorage.notifications.endpoints import EndpointSettings
from moorage.notifications.events import Audience
from moorage.oci.digests import Digest
from moorage.room import Room
from moorage.sql.leases import Leases
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.memory import MemoryDriver
from moorage.storage.upload_sinks import sink_of
from moorage.telemetry import LogSettings
from moorage.web.access_log import AccessLog
from moorage.web.bodies import Bodies
from moorage.web.connection import ConnectionServer
from support.bucket import Bucket
from support.loop_watch import watch_if_asked

T = TypeVar("T")
DEADLINE_S = 30.0

ENDPOINTS = (EndpointSettings(name="told", url="https://ada:s3cr3t@receiver.example.com/events?key=s3cr3t"),)
"""The endpoints that its answers know. Nothing is sent to them."""


class InProcess:
    """``with InProcess(folder) as registry:`` serves at ``registry.address``; without *folder* it has no database.

    *remembers*: so many links; *changes*: those of the node that it is a worker of.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        rules: ApplicationRules | None = None,
        manifest_rules: ManifestRules | None = None,
        guard: Guard | None = None,
        collects: Sequence[Queue] = QUEUES,
        urls: Urls | None = None,
        storage: StorageDriver | None = None,
        audience: Audience | None = None,
        redirects: Redirects | None = None,
        remembers: int = 0,
        changes: SharedChanges | None = None,
    ) -> None:
        self.path = None if folder is None else folder / "moorage.sqlite"
        self.address = ""
        self._rules = rules or ApplicationRules(can_delete=True)
        self._manifest_rules = manifest_rules or ManifestRules()
        self._guard = guard or OpenGuard()
        self._collects = collects
        self._urls = urls or Urls()
        self._audience = audience
        self._redirects = redirects
        self.storage = storage or _usual_storage()
        self._remembers = remembers
        self._changes = changes
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="registry")
        self._database: SqliteDatabase | None = None

    def __enter__(self) -> Self:
        if self.path is not None:
            with sqlite3.connect(self.path) as connection:
                for script in schema():
                    connection.executescript(script)
            connection.close()
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def execute(self, statement: str, *args: object) -> list[Any]:
        """Run SQL beside the registry."""
        assert self.path is not None
        connection = sqlite3.connect(self.path, timeout=DEADLINE_S)
        try:
            with connection:
                return connection.execute(statement, args).fetchall()
        finally:
            connection.close()

    def break_removal(self, error: str) -> None:
        """From now on no blob can be removed from storage."""
        assert isinstance(self.storage, _Memory | _Bucket)
        self.storage.removal_error = error

    def has_bytes(self, digest: str) -> bool:
        """Whether storage has a blob."""
        return self._run(self.storage.exists(paths.blob(Digest.parse(digest))))

    def leave_bytes(self, digest: str, content: bytes | None) -> None:
        """Let *content* be what storage has of a blob, whatever its digest says; None: nothing."""
        path = paths.blob(Digest.parse(digest))
        self._run(self.storage.delete(path) if content is None else self.storage.put(path, content))

    def damage(self) -> DamageFound | None:
        """What health would say of damaged blobs."""
        return self._run(self._damaged.remaining())

    def put(self, path: str, content: bytes) -> None:
        """Leave an object in storage, as another registry may have."""
        self._run(self.storage.put(path, content))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE_S)

    async def _start(self) -> None:
        watch_if_asked(self._loop)
        storage, bodies = self.storage, Bodies()
        links: LinkStore = LayoutLinks(storage)
        known = KnownLinks[str](self._remembers, self._changes)
        known_blobs: KnownLinks[int] | None = KnownLinks(self._remembers, self._changes)
        store: ManifestStore = LayoutManifests(storage, PayloadCache(), known=known)
        catalogue: CatalogueStore = LayoutCatalogue(storage)
        told = StateHandlers(self._status(), storage)
        others = [gitlab_api_without_database(), moorage_api_without_database(told.handlers)]
        if self.path is not None:
            self._database = await SqliteDatabase.open(self.path)
            links, store = SqlLinks(self._database), SqlManifests(self._database)
            catalogue, known_blobs = SqlCatalogue(self._database), None
            history = History(SqlHistory(self._database, can_delete=self._rules.can_delete))
            moorage = MoorageHandlers(history, self._collection(self._database), bodies)
            details = Details(SqlDetails(self._database), Sizes(SqlSizes(self._database)))
            renames = Renames(SqlRenames(self._database), Leases(self._database))
            imports = SqlImportRecords(self._database)
            gitlab = GitLabHandlers(details, imports, rename=RenameHandler(renames, bodies).rename)
            administration = NotificationAdministration(SqlOutbox(self._database), Leases(self._database), ENDPOINTS)
            work = DatabaseStateHandlers(self._database, SqlAdoptionLedger(self._database), migrates=True)
            handlers = {**moorage.handlers, **NotificationHandlers(administration, bodies).handlers}
            handlers |= {**StateHandlers(self._status(self._database), storage).handlers, **work.handlers}
            others = [gitlab_api(gitlab.handlers), moorage_api(handlers, prefix="/")]
        blobs = Blobs(storage, links, known=known_blobs, redirects=self._redirects)
        uploads = Uploads(storage, links, sink=sink_of(storage))
        self._damaged = blobs.damaged
        manifests = Manifests(store, blobs, self._manifest_rules)
        states = UploadStates(b"secret")
        v2 = v2_api(
            blobs=BlobHandlers(blobs),
            uploads=UploadHandlers(uploads, blobs, bodies, states, chunk_min_bytes=storage.chunk_min_bytes),
            manifests=ManifestHandlers(manifests, bodies),
            listings=ListingHandlers(catalogue, manifests),
        )
        self.app = App(
            [v2, *others],
            guard=self._guard,
            urls=self._urls,
            rules=self._rules,
            access_log=AccessLog(LogSettings(fields={}, access_disabled=True)),
            audience=self._audience,
        )
        self._server = ConnectionServer(self.app)
        self._listening = await asyncio.get_running_loop().create_server(self._server, "127.0.0.1", 0)
        host, port = self._listening.sockets[0].getsockname()
        self.address = f"{host}:{port}"

    def _collection(self, database: SqliteDatabase) -> GcAdministration:
        collectors: dict[Queue, Collector] = {
            "manifest": ManifestCollector(SqlManifestReviews(database), Deadlines()),
            "blob": BlobCollector(SqlBlobReviews(database), self.storage, Deadlines()),
        }
        return GcAdministration(
            queues=SqlQueues(database),
            explanations=SqlExplanations(database),
            collectors={queue: collectors[queue] for queue in self._collects},
        )

    def _status(self, database: SqliteDatabase | None = None) -> NodeStatus:
        parts = [storage_part(self.storage, Room({})), *database_parts(database), integrity_part(self.storage)]
        return NodeStatus(
            parts,
            metadata="link files" if database is None else "database",
            nodes=partial(nodes_at_work, self.storage),
        )

    async def _stop(self) -> None:
        self._listening.close()
        self._server.retire()  # Without a time to wait, aiohttp would wait for idle connections for ever.
        await self._server.shutdown(0)
        self.app.close()
        if self._database is not None:
            await self._database.close()


class _Stuck:
    """What a storage is from which nothing can be removed once a test says so."""

    removal_error = ""

    def stuck(self, paths: Sequence[str]) -> Mapping[str, BackendError]:
        return {path: StorageUnavailable(self.removal_error) for path in paths} if self.removal_error else {}


class _Memory(_Stuck, MemoryDriver):
    async def remove(self, paths: Sequence[str], *, until: float, rest: float = 0.0) -> Mapping[str, BackendError]:
        return self.stuck(paths) or await super().remove(paths, until=until, rest=rest)


class _Bucket(_Stuck, Bucket):
    async def remove(self, paths: Sequence[str], *, until: float, rest: float = 0.0) -> Mapping[str, BackendError]:
        return self.stuck(paths) or await super().remove(paths, until=until, rest=rest)


def on_bucket() -> bool:
    """Whether ``MOORAGE_TEST_STORAGE=bucket`` asks for all tests in this process to run on an object store."""
    return os.environ.get("MOORAGE_TEST_STORAGE") == "bucket"


def _usual_storage() -> StorageDriver:
    return _Bucket() if on_bucket() else _Memory()


def schema() -> list[str]:
    """The scripts that make the database's tables."""
    folder = files("moorage") / "metadata" / "schema" / "pre"
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".sqlite.sql")]
    return [entry.read_text(encoding="utf-8") for entry in sorted(found, key=lambda entry: entry.name)]
