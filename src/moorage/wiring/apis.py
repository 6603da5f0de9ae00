"""The APIs that need a metadata database."""

from moorage.core.details import Details
from moorage.core.history import History
from moorage.core.renames import Renames
from moorage.core.sizes import SizeMemory, Sizes
from moorage.gc.online.gc_administration import GcAdministration
from moorage.http.gitlab_v1.gitlab_handlers import GitLabHandlers
from moorage.http.gitlab_v1.gitlab_operations import gitlab_api, gitlab_api_without_database
from moorage.http.gitlab_v1.gitlab_renames import RenameHandler
from moorage.http.moorage_v1.moorage_api import moorage_api, moorage_api_without_database
from moorage.http.moorage_v1.moorage_handlers import MoorageHandlers
from moorage.http.moorage_v1.notification_handlers import NotificationHandlers
from moorage.http.operations import Api
from moorage.metadata.sql.details import SqlDetails
from moorage.metadata.sql.history import SqlHistory
from moorage.metadata.sql.renames import SqlRenames
from moorage.metadata.sql.sizes import SqlSizes
from moorage.notifications.administration import NotificationAdministration
from moorage.sql.base import Database
from moorage.sql.leases import Leases
from moorage.web.bodies import Bodies


def gitlab(database: Database, bodies: Bodies, *, sizes: SizeMemory | None = None) -> Api:
    """``/gitlab/v1/``; *sizes*: those that are shared with others, None: there are none."""
    details = Details(SqlDetails(database), Sizes(SqlSizes(database), shared=sizes))
    renames = Renames(SqlRenames(database), Leases(database))
    return gitlab_api(GitLabHandlers(details, rename=RenameHandler(renames, bodies).rename).handlers)


def moorage(
    database: Database,
    collection: GcAdministration,
    notifications: NotificationAdministration,
    *,
    bodies: Bodies,
    prefix: str,
) -> Api:
    """``/moorage/v1/``."""
    handlers = MoorageHandlers(History(SqlHistory(database)), collection, bodies)
    told = NotificationHandlers(notifications, bodies)
    return moorage_api({**handlers.handlers, **told.handlers}, prefix=prefix)


def without_database() -> tuple[Api, ...]:
    """Both of them as a registry without a metadata database has them."""
    return gitlab_api_without_database(), moorage_api_without_database()
