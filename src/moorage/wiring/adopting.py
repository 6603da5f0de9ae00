"""The metadata of a registry that adopts link files, and the stores of an adoption."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from moorage.metadata.adopting import AdoptingCatalogue, AdoptingLinks, AdoptingManifests
from moorage.metadata.adoptions import AdoptionLedger
from moorage.metadata.base import CatalogueStore, LinkStore, ManifestStore
from moorage.metadata.layout import LayoutLinks, LayoutManifests
from moorage.metadata.layout_lists import LayoutCatalogue
from moorage.metadata.payloads import PayloadCache
from moorage.metadata.sql.adoptions import AdoptionClaim, SqlAdoptionLedger, SqlAdoptionStates
from moorage.metadata.sql.catalogue import SqlCatalogue
from moorage.metadata.sql.exports import SqlExports
from moorage.metadata.sql.imports import SqlImports
from moorage.metadata.sql.links import SqlLinks
from moorage.metadata.sql.manifests import SqlManifests
from moorage.moving.adopting import LEASE, Adoption, AdoptionStores
from moorage.moving.adoption_walk import AdoptionWalk
from moorage.sql.base import Database
from moorage.storage.base import StorageDriver
from moorage.work.text_pipe import TextPipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopting:
    """The stores of a registry that adopts link files, and what takes them over."""

    links: LinkStore
    manifests: ManifestStore
    catalogue: CatalogueStore
    adoption: Adoption
    walk: AdoptionWalk


def adopting(database: Database, storage: StorageDriver, wishes: TextPipe, *, puts_off: bool) -> Adopting:
    """Return the stores of *database* with link files of *storage* behind them; *puts_off* as for those stores.

    *wishes*: by which those that serve tell the walk what is read.
    """
    stores = adoption_stores(database)
    adoption = Adoption(storage, stores, wishes=wishes)
    manifests = LayoutManifests(storage, PayloadCache())
    return Adopting(
        links=AdoptingLinks(adoption, SqlLinks(database, puts_off=puts_off), LayoutLinks(storage)),
        manifests=AdoptingManifests(adoption, SqlManifests(database, puts_off=puts_off), manifests),
        catalogue=AdoptingCatalogue(adoption, SqlCatalogue(database), LayoutCatalogue(storage)),
        adoption=adoption,
        walk=AdoptionWalk(storage, adoption, stores.ledger, wishes=wishes),
    )


def adoption_stores(database: Database) -> AdoptionStores:
    """Return the ports of an adoption into a database."""
    return AdoptionStores(
        states=SqlAdoptionStates(database),
        ledger=SqlAdoptionLedger(database),
        exports=SqlExports(database),
        imports=partial(_imports, database),
    )


def ledger_of(database: Database) -> AdoptionLedger:
    """Return what a database says of an adoption as a whole."""
    return SqlAdoptionLedger(database)


async def adoption_counts(database: Database) -> Mapping[str, int]:
    """Count repositories of link files for metrics, by how far their adoption is; empty: there is none.

    Raises:
        DatabaseUnavailable: the database does not answer.
    """
    progress = await SqlAdoptionLedger(database).progress()
    if progress is None:
        return {}
    return {"found": progress.repositories or 0, "taken": progress.taken, "failing": progress.faults}


def _imports(database: Database, holder: str) -> SqlImports:
    return SqlImports(database, AdoptionClaim(holder, LEASE))
