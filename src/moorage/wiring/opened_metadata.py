"""The metadata store of a registry, opened: what ``metadata.py`` returns."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moorage.cache.link_memory import LinkMemory
from moorage.metadata.base import CatalogueStore, LinkStore, ManifestStore, PullStore, SessionStore
from moorage.sql.base import Database

if TYPE_CHECKING:
    from moorage.moving.adopting import Adoption


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """One store, as its ports; what only a database has is None for the layout."""

    links: LinkStore
    manifests: ManifestStore
    catalogue: CatalogueStore
    database: Database | None = None
    adoption: "Adoption | None" = None
    """Takes link files over; None: there are none beside the database."""
    adopted: Callable[[], Awaitable[Mapping[str, int]]] | None = None
    """Counts repositories for metrics, by how far their adoption is; None: as above."""
    pulls: PullStore | None = None
    sessions: SessionStore | None = None
    known_blobs: LinkMemory[int] | None = None
    """Remembers where blobs are; None: it costs nothing to ask."""
    flushes: tuple[Callable[[], Awaitable[None]], ...] = field(default=())
    """Writes to do from time to time, and at the end."""
    chores: tuple[Callable[[], Coroutine[None, None, None]], ...] = field(default=())
    """Chores that one worker of a node does for as long as it lives."""
