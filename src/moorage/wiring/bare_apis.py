"""The APIs that need a metadata database, where there is none."""

from moorage.http.gitlab_v1.gitlab_operations import gitlab_api_without_database
from moorage.http.moorage_v1.moorage_api import moorage_api_without_database
from moorage.http.moorage_v1.state_handlers import StateHandlers
from moorage.http.operations import Api


def without_database(states: StateHandlers) -> tuple[Api, ...]:
    """Return both of them as a registry without a metadata database has them; *states* tell of the registry itself."""
    return gitlab_api_without_database(), moorage_api_without_database(states.handlers)
