"""One meeting, played step by step: a manifest is pushed while a collector is about to drop a blob that it names."""

import contextlib
import random
from datetime import timedelta

from moorage.auth.access import EVERYTHING
from moorage.errors import ReferencesUnknown
from moorage.gc.online.review_rounds import BlobCollector, Deadlines
from moorage.metadata.base import Cause
from moorage.metadata.sql.reviews import SqlBlobReviews, SqlReviewDelay
from moorage.oci.names import Tag
from moorage.sql.base import Database
from moorage.storage.memory import MemoryDriver
from property.collection.clients import Services, chunks
from property.collection.gated import GatedDatabase
from property.collection.gates import Actor, Scheduler, Violation
from property.collection.simulation import count_waiting
from property.collection.snapshots import take
from property.collection.world import IMAGES, STRICT, blob_digest

_PATIENT = Deadlines(transaction=timedelta(minutes=1), storage=timedelta(minutes=1))


async def duel(database: Database) -> None:
    """Play it.

    Raises:
        Violation: the manifest was taken and its blob dropped, or one of both failed.
    """
    storage, name, image = MemoryDriver(), STRICT[0], IMAGES[0]
    await SqlReviewDelay(database).set(timedelta(0))
    plain = Services.over(database, storage)
    for content in image.blobs:
        await plain.uploads.push(name, blob_digest(content), chunks(content.body))
    scheduler = Scheduler(random.Random(0), lambda: count_waiting(database))
    gated = GatedDatabase(database, scheduler)

    async def collect(_: Actor) -> None:
        await BlobCollector(SqlBlobReviews(gated), storage, _PATIENT).round()

    async def push(_: Actor) -> None:
        services, body = Services.over(gated, storage), image.content.body
        kind = image.content.media_type
        with contextlib.suppress(ReferencesUnknown):  # The collector came first.
            cause = Cause(request_id="r")
            await services.strict.put(name, Tag("v1"), body, content_type=kind, grant=EVERYTHING, cause=cause)

    try:
        pusher = scheduler.start("client", push)
        await _go_on(scheduler, pusher, until="put_manifest")
        collector = scheduler.start("blobs", collect)
        await _go_on(scheduler, collector, until="drop_blobs")
        await _go_on(scheduler, pusher)
        await _go_on(scheduler, collector)
        await _go_on(scheduler, pusher)
    except Exception as exc:
        msg = f"{type(exc).__name__}: {exc}"
        raise Violation(msg) from exc
    faults = list((await take(database, storage)).faults(()))
    if faults:
        raise Violation("\n".join(faults))


async def _go_on(scheduler: Scheduler, actor: Actor, *, until: str = "") -> None:
    """Let an actor go on up to a gate; else to its end, or to where it waits for the other."""
    await scheduler.settle()
    while actor.parked and actor.parked[0].label != until:
        actor.parked.pop(0).go.set_result(None)
        await scheduler.settle()
