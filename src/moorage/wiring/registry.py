"""One worker's registry, put together."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial

from moorage.auth.addresses import Proxies
from moorage.cache.shared_changes import SharedChanges
from moorage.config import Config
from moorage.core.blobs import Blobs
from moorage.core.damage import DamagedBlobs
from moorage.core.manifest_rules import ManifestRules
from moorage.core.manifests import Manifests
from moorage.core.session_limits import SessionLimits
from moorage.core.uploads import Uploads
from moorage.health.watch import HealthWatch
from moorage.http.app import Admission, App, ApplicationRules
from moorage.http.moorage_v1.state_handlers import StateHandlers
from moorage.http.urls import Urls
from moorage.http.v2.blob_handlers import BlobHandlers
from moorage.http.v2.list_handlers import CATALOGUE_LIMIT, ListingHandlers
from moorage.http.v2.manifest_handlers import ManifestHandlers
from moorage.http.v2.upload_handlers import UploadHandlers
from moorage.http.v2.upload_states import UploadStates
from moorage.http.v2.v2_operations import v2_api
from moorage.limits.node_counters import NodeCounters
from moorage.oci.manifests import SIZE_LIMIT_BYTES
from moorage.oci.safe_patterns import compiled
from moorage.room import Room
from moorage.sql.base import Database
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.identity import content_of
from moorage.storage.locks import Lock
from moorage.storage.upload_sinks import sink_of
from moorage.tracing.spans import spans_here
from moorage.web.access_log import AccessLog
from moorage.web.bodies import Bodies
from moorage.wiring.guards import guard
from moorage.wiring.health import health_watch
from moorage.wiring.limits import rate_limits
from moorage.wiring.log_settings import log_settings
from moorage.wiring.metadata import open_metadata
from moorage.wiring.notifications import Notifying, notifying
from moorage.wiring.observers import Observers
from moorage.wiring.observing import observe_database, observe_storage, observe_uploads
from moorage.wiring.opened_metadata import Metadata
from moorage.wiring.purging import purging
from moorage.wiring.redirects import redirects_of
from moorage.wiring.redises import Redises
from moorage.wiring.status import node_status
from moorage.wiring.storage import room_for, storage_driver
from moorage.wiring.stores import LayoutStore, Store
from moorage.wiring.tracing import trace_database, trace_parts


@dataclass(frozen=True, slots=True)
class Registry:
    """The parts of one worker."""

    app: App
    storage: StorageDriver
    uploads: Uploads
    metadata: Metadata
    room: Room
    damaged: DamagedBlobs
    health: HealthWatch
    redises: Redises
    chores: Sequence[Callable[[], Coroutine[None, None, None]]] = ()
    """Chores that one process of a node does for as long as it lives."""
    notifying: Notifying = field(default_factory=Notifying)
    upkeep: Sequence[Callable[[], Coroutine[None, None, None]]] = ()
    """Work of every process that serves, beside it."""

    async def close(self) -> None:
        """Let go of everything."""
        self.app.close()
        await self.redises.close()
        if self.metadata.adoption is not None:
            await self.metadata.adoption.close()
        if self.metadata.database is not None:
            await self.metadata.database.close()
        await self.storage.close()


async def build(
    config: Config,
    store: Store,
    *,
    secret: bytes,
    counters: NodeCounters | None = None,
    observed: Observers | None = None,
    share: float = 1.0,
    changes: SharedChanges | None = None,
) -> Registry:
    """Make the parts of a registry as *config* wants them, on *store*; *secret* is the same in all workers.

    *counters*: where all processes of the node count requests; None: nothing is limited.
    *observed*: are told of what is done here; None: nobody is.
    *share*: see :func:`~moorage.wiring.storage.storage_driver`.
    *changes*: shared by all workers, see ``cache/known_links.py``.

    Raises:
        ConfigurationError: it asks for a backend that this version does not have.
        StorageUnavailable: the storage cannot be used.
        DatabaseUnavailable: the database cannot be used.
    """
    observed = observed or Observers()
    redises = Redises(config, observe=observed.redis)
    storage = storage_driver(config, share=share, tally=observed.store)
    spans = spans_here.get()
    _watch(store, storage)
    if observed.storage is not None:
        observe_storage(storage, observed.storage)
    if spans is not None:
        trace_parts(spans, storage, redises.clients())
    metadata = await open_metadata(config, store, storage, changes, redis=redises.links)
    if observed.uploads is not None:
        observe_uploads(metadata.links, observed.uploads)
    if observed.database is not None and metadata.database is not None:
        observe_database(metadata.database, observed.database)
    if spans is not None and metadata.database is not None:
        trace_database(metadata.database, spans)
    room = room_for(config, store)
    redirected = redirects_of(config, storage, on_sent=observed.network)
    blobs = Blobs(
        storage,
        metadata.links,
        known=metadata.known_blobs,
        redirects=redirected.redirects,
        room=room,
        on_damage=observed.damage,
    )
    manifests = Manifests(metadata.manifests, blobs, manifest_rules(config), pulls=metadata.pulls, room=room)
    key = config.http.secret.encode() or secret
    limits = SessionLimits(storage, key, limit=config.http.limits.uploadsessions)
    sink = sink_of(storage)
    uploads = Uploads(storage, metadata.links, sink=sink, sessions=metadata.sessions, limits=limits, room=room)
    bodies, door, prefix = Bodies(), guard(config), config.http.prefix or "/"
    database = metadata.database
    told = notifying(config, database, observed.deliveries)
    states = UploadStates(secret, shared=config.http.secret)
    health = health_watch(config, storage, database, redises.all, observe=observed.health)
    asking = partial(
        node_status,
        config,
        storage,
        room=room,
        redises=redises.all,
        health=health,
        damaged=blobs.damaged.remaining,
    )
    collecting: Sequence[Callable[[], Coroutine[None, None, None]]] = ()
    if database is None:
        from moorage.wiring.bare_apis import without_database  # noqa: PLC0415 - who has a database need not wait for it

        others = without_database(StateHandlers(asking(), storage))
    else:
        from moorage.wiring import apis  # noqa: PLC0415 - who has none need not wait for it
        from moorage.wiring.collection import agents, collection, one_database  # noqa: PLC0415 - as above

        adopter = metadata.adoption
        one = one_database(database, storage)
        collected = collection(config, database, storage, observed.reviews, one=one, adopter=adopter)
        moorage = apis.moorage(
            config, database, storage, asking=asking, collection=collected, bodies=bodies, adopter=adopter
        )
        others = (apis.gitlab(database, bodies, sizes=redises.sizes(), adopter=adopter), moorage)
        collecting = agents(config, database, storage, observed.reviews, one=one)
    v2 = v2_api(
        blobs=BlobHandlers(blobs),
        uploads=UploadHandlers(uploads, blobs, bodies, states, chunk_min_bytes=storage.chunk_min_bytes),
        manifests=ManifestHandlers(manifests, bodies),
        listings=ListingHandlers(
            metadata.catalogue,
            manifests,
            has_database=database is not None,
            tags_limit=config.tags.maxtags if "maxtags" in config.tags.model_fields_set else 0,
            catalogue_limit=config.catalog.maxentries if config.catalog.maxentries > 0 else CATALOGUE_LIMIT,
        ),
    )
    limited = rate_limits(config, counters, redises.limiting, observed.limits)
    app = App(
        [v2, *others],
        admission=Admission(out_of_service=health.failing, limits=limited, proxies=Proxies(config.http.trustedproxies)),
        guard=door,
        urls=Urls(host=config.http.host, prefix=prefix, relative=config.http.relativeurls),
        rules=ApplicationRules(
            read_only=config.storage.maintenance.readonly.enabled,
            can_delete=config.storage.delete.enabled,
            headers={name: ", ".join(values) for name, values in config.http.headers.items()},
        ),
        access_log=AccessLog(log_settings(config)),
        observer=observed.requests,
        audience=told.audience,
    )
    purged = purging(config, storage, uploads, lists_sessions=metadata.sessions is not None)
    sampled = sampling(config, database, redises, observed)
    chores = (*metadata.chores, *collecting, *purged, *told.chores, *sampled)
    return Registry(
        app,
        storage,
        uploads,
        metadata,
        room=room,
        damaged=blobs.damaged,
        health=health,
        redises=redises,
        chores=chores,
        upkeep=(*redirected.upkeep, *sampled),
        notifying=told,
    )


def sampling(
    config: Config, database: Database | None, redises: Redises, observed: Observers
) -> Sequence[Callable[[], Coroutine[None, None, None]]]:
    """Return the work that looks at pools for metrics; none where there are no metrics."""
    if observed.pools is None or observed.replicas is None:
        return ()
    from moorage.wiring.sampling import Sampling  # noqa: PLC0415 - a start without metrics need not wait for it

    return (Sampling(config, database, redises.clients(), observed.pools, replicas=observed.replicas).run,)


def _watch(store: Store, storage: StorageDriver) -> None:
    """See to it that nothing is written where another volume has come, or none is left."""
    if not isinstance(store, LayoutStore):
        if store.identity:
            storage.watch(paths.IDENTITY, content_of(store.identity))
    elif store.mark:
        storage.watch(Lock.FILESYSTEM.path, store.mark)
    elif store.must_claim:
        storage.watch("", None)  # The mark comes with the first image, which another worker may take.


def manifest_rules(config: Config) -> ManifestRules:
    """Return the rules that pushed manifests have to keep to."""
    validation = config.validation
    if validation.disabled:
        return ManifestRules(sparse=validation.manifests.sparse)
    manifests = validation.manifests
    wanted = manifests.indexes.platforms
    platforms = frozenset((item.os, item.architecture) for item in manifests.indexes.platformlist)
    urls = manifests.urls
    return ManifestRules(
        allows_url=_url_rule(urls.allow, urls.deny) if urls.allow or urls.deny else None,
        size_limit_bytes=min(manifests.payloadsizelimit or SIZE_LIMIT_BYTES, SIZE_LIMIT_BYTES),
        reference_limit=manifests.referencelimit,
        sparse=manifests.sparse,
        require_children=wanted != "none",
        required_platforms=platforms if wanted == "list" else frozenset(),
    )


def _url_rule(allow: Sequence[str], deny: Sequence[str]) -> Callable[[str], bool]:
    """Make a rule: a URL must match one of *allow* (if there are any) and none of *deny*. RE2: no pattern can hang."""
    allowed, denied = [compiled(text) for text in allow], [compiled(text) for text in deny]

    def allows(url: str) -> bool:
        if any(pattern.search(url) for pattern in denied):
            return False
        return not allowed or any(pattern.search(url) for pattern in allowed)

    return allows
