"""The APIs that need a metadata database."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from moorage.config import Config
from moorage.core.details import Details
from moorage.core.history import History
from moorage.core.renames import Renames
from moorage.core.sizes import SizeMemory, Sizes
from moorage.gc.online.gc_administration import GcAdministration
from moorage.http.gitlab_v1.gitlab_handlers import GitLabHandlers
from moorage.http.gitlab_v1.gitlab_operations import gitlab_api
from moorage.http.gitlab_v1.gitlab_renames import RenameHandler
from moorage.http.moorage_v1.moorage_api import moorage_api
from moorage.http.moorage_v1.moorage_handlers import MoorageHandlers
from moorage.http.moorage_v1.notification_handlers import NotificationHandlers
from moorage.http.moorage_v1.state_handlers import DatabaseStateHandlers, StateHandlers
from moorage.http.node_status import NodeStatus
from moorage.http.operations import Api
from moorage.metadata.details import DetailStore, RenameStore, SizeStore
from moorage.metadata.history import HistoryStore
from moorage.metadata.sql.adoptions import SqlAdoptionLedger
from moorage.metadata.sql.details import SqlDetails
from moorage.metadata.sql.history import SqlHistory
from moorage.metadata.sql.import_records import SqlImportRecords
from moorage.metadata.sql.renames import SqlRenames
from moorage.metadata.sql.sizes import SqlSizes
from moorage.sql.base import Database
from moorage.sql.leases import Leases
from moorage.storage.base import StorageDriver
from moorage.web.bodies import Bodies
from moorage.wiring.notifications import administration
from moorage.wiring.status import database_work

if TYPE_CHECKING:
    from moorage.metadata.adopting import Adopter


def gitlab(
    database: Database, bodies: Bodies, *, sizes: SizeMemory | None = None, adopter: "Adopter | None" = None
) -> Api:
    """``/gitlab/v1/``; *sizes*: those that are shared with others, None: there are none.

    *adopter*: takes link files over before anything is asked of the database; None: there are none.
    """
    details: DetailStore = SqlDetails(database)
    measured: SizeStore = SqlSizes(database)
    renamed: RenameStore = SqlRenames(database)
    if adopter is not None:
        from moorage.metadata.adopting_details import (  # noqa: PLC0415 - a start that adopts nothing need not wait for it
            AdoptingDetails,
            AdoptingRenames,
            AdoptingSizes,
        )

        details = AdoptingDetails(adopter, details)
        measured = AdoptingSizes(adopter, measured)
        renamed = AdoptingRenames(adopter, renamed)
    rename = RenameHandler(Renames(renamed, Leases(database)), bodies).rename
    found = Details(details, Sizes(measured, shared=sizes))
    return gitlab_api(GitLabHandlers(found, SqlImportRecords(database), rename=rename).handlers)


def moorage(
    config: Config,
    database: Database,
    storage: StorageDriver,
    *,
    asking: Callable[..., NodeStatus],
    collection: GcAdministration,
    bodies: Bodies,
    adopter: "Adopter | None" = None,
) -> Api:
    """``/moorage/v1/``; *asking* makes what tells of the registry itself; *adopter* as above."""
    history: HistoryStore = SqlHistory(database, can_delete=config.storage.delete.enabled)
    if adopter is not None:
        from moorage.metadata.adopting_details import AdoptingHistory  # noqa: PLC0415 - as above

        history = AdoptingHistory(adopter, history)
    notifications, ledger = administration(config, database), SqlAdoptionLedger(database)
    work = database_work(config, database, collection=collection, notifications=notifications, ledger=ledger)
    every = (
        MoorageHandlers(History(history), collection, bodies),
        NotificationHandlers(notifications, bodies),
        StateHandlers(asking(database=database, work=work), storage),
        DatabaseStateHandlers(database, ledger, migrates=config.database.backgroundmigrations.enabled),
    )
    handlers = {row: handler for one in every for row, handler in one.handlers.items()}
    return moorage_api(handlers, prefix=config.http.prefix or "/")
