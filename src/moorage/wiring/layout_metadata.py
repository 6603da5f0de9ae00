"""Link files as a registry's metadata. Imported where there is no database."""

from typing import TYPE_CHECKING

from moorage.cache.known_links import SIZE_LIMIT, KnownLinks
from moorage.cache.link_memory import LinkMemory
from moorage.cache.shared_changes import SharedChanges
from moorage.config import Config
from moorage.metadata.layout import LayoutLinks, LayoutManifests
from moorage.metadata.layout_lists import LayoutCatalogue
from moorage.metadata.payloads import PayloadCache
from moorage.storage.base import StorageDriver
from moorage.storage.locks import FilesystemClaim
from moorage.wiring.opened_metadata import Metadata

if TYPE_CHECKING:
    from moorage.redis.guarded import GuardedRedis


def layout_metadata(
    config: Config,
    storage: StorageDriver,
    changes: SharedChanges | None,
    *,
    redis: "GuardedRedis | None",
    must_claim: bool,
) -> Metadata:
    """Return the stores of link files; the arguments are those of :func:`~moorage.wiring.metadata.open_metadata`.

    *must_claim*: the first image marks the storage as used without a database.
    """
    known_blobs, known = _memories(config, changes, redis)
    claim = FilesystemClaim(storage) if must_claim else None
    return Metadata(
        links=LayoutLinks(storage),
        manifests=LayoutManifests(storage, PayloadCache(), known=known, claim=claim),
        catalogue=LayoutCatalogue(storage),
        known_blobs=known_blobs,
    )


def _memories(
    config: Config, changes: SharedChanges | None, redis: "GuardedRedis | None"
) -> tuple[LinkMemory[int], LinkMemory[str]]:
    """Return what remembers links of blobs, and of manifests."""
    cache = config.storage.cache
    if cache.chosen == "redis" and redis is not None:
        from moorage.redis.shared_links import (  # noqa: PLC0415 - who has no Redis need not wait for it
            SharedBlobLinks,
            SharedManifestLinks,
        )

        return SharedBlobLinks(redis, changes), SharedManifestLinks(redis, changes)
    limit = min(cache.blobdescriptorsize, SIZE_LIMIT) if cache.blobdescriptorsize > 0 else SIZE_LIMIT
    if cache.chosen != "inmemory":
        limit = 0
    return KnownLinks[int](limit, changes), KnownLinks[str](limit, changes)
