"""The instance: its version, and the settings that administrators change."""

from typing import Any

from django.forms.models import model_to_dict
from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from moorage import __version__
from moorage.control.api.callers import CHANGES, READS_USERS, SIGNED_IN, caller, see_that_admin
from moorage.control.api.parameters import Given, Visibilities
from moorage.control.api.shapes import answers
from moorage.control.instance.changes import change_settings
from moorage.control.instance.models import ApplicationSettings

routes = Router(tags=["instance"])

_COUNT_LIMIT = (1 << 31) - 1


class VersionShape(Schema):
    """The version of this program."""

    version: str
    revision: str = ""


def _no_kas() -> dict[str, bool | None]:
    return {"enabled": False}


class MetadataShape(VersionShape):
    """The version of this program, and the edition, in words that GitLab's clients know."""

    kas: dict[str, bool | None] = Field(default_factory=_no_kas)
    enterprise: bool = False


class SettingsShape(Schema):
    """Settings of the instance, by GitLab's names. Source: GitLab features APP-001 to APP-006."""

    container_registry_token_expire_delay: int
    default_project_visibility: str
    default_group_visibility: str
    default_projects_container_registry: bool | None
    create_project_on_push: bool
    require_two_factor_authentication: bool
    container_registry_vendor: str
    container_registry_version: str
    container_registry_features: list[str]
    container_registry_db_enabled: bool
    container_registry_delete_tags_service_timeout: int
    container_registry_expiration_policies_worker_capacity: int
    container_registry_cleanup_tags_service_max_list_size: int
    container_expiration_policies_enable_historic_entries: bool = Field(
        True, description="Every project can have a policy; cannot be changed."
    )
    container_registry_expiration_policies_caching: bool = Field(
        False, description="Times of tags are never cached; cannot be changed."
    )


class SettingsValues(Given):
    """Settings that can be changed."""

    container_registry_token_expire_delay: int | None = Field(None, ge=1, le=_COUNT_LIMIT)
    default_project_visibility: Visibilities | None = None
    default_group_visibility: Visibilities | None = None
    default_projects_container_registry: bool | None = None
    create_project_on_push: bool | None = None
    require_two_factor_authentication: bool | None = None
    container_registry_delete_tags_service_timeout: int | None = Field(None, ge=0, le=_COUNT_LIMIT)
    container_registry_expiration_policies_worker_capacity: int | None = Field(None, ge=0, le=_COUNT_LIMIT)
    container_registry_cleanup_tags_service_max_list_size: int | None = Field(None, ge=0, le=_COUNT_LIMIT)


@routes.get("/version", auth=READS_USERS, response=answers(VersionShape))
def show_version(request: HttpRequest) -> Any:  # noqa: ANN401
    """Show the version."""
    del request
    return {"version": __version__}


@routes.get("/metadata", auth=READS_USERS, response=answers(MetadataShape))
def show_metadata(request: HttpRequest) -> Any:  # noqa: ANN401
    """Show the version and the edition."""
    del request
    return {"version": __version__}


@routes.get("/application/settings", auth=SIGNED_IN, response=answers(SettingsShape))
def show_settings(request: HttpRequest) -> Any:  # noqa: ANN401
    """Show the settings; for administrators."""
    see_that_admin(request)
    return _shown(ApplicationSettings.now())


@routes.put("/application/settings", auth=CHANGES, response=answers(SettingsShape))
def change_some_settings(request: HttpRequest, values: SettingsValues) -> Any:  # noqa: ANN401
    """Change settings, at once; for administrators."""
    see_that_admin(request)
    return _shown(change_settings(by=caller(request).as_actor(), **values.given()))


def _shown(settings: ApplicationSettings) -> dict[str, Any]:
    return model_to_dict(settings)
