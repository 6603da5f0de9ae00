"""Changes of the instance's settings."""

from django.core.exceptions import ValidationError
from django.db import transaction

from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.instance.models import ApplicationSettings
from moorage.control.refusals import ChangeRefused

CHANGEABLE = frozenset(
    {
        "container_registry_cleanup_tags_service_max_list_size",
        "container_registry_delete_tags_service_timeout",
        "container_registry_expiration_policies_worker_capacity",
        "container_registry_token_expire_delay",
        "default_project_visibility",
        "default_group_visibility",
        "default_projects_container_registry",
        "create_project_on_push",
        "require_two_factor_authentication",
    }
)
"""Settings that people change."""
SEEN = frozenset(
    {
        "container_registry_vendor",
        "container_registry_version",
        "container_registry_features",
        "container_registry_db_enabled",
    }
)
"""Facts about the registry, as it was seen."""
_ALL = frozenset(field.name for field in ApplicationSettings._meta.get_fields())  # noqa: SLF001 - Django's way


@transaction.atomic
def change_settings(*, by: Actor, **values: object) -> ApplicationSettings:
    """Change settings by their names.

    Raises:
        ChangeRefused: a value is not possible, or there is no such setting.
    """
    unknown = {name: ["is no setting that can be changed"] for name in values if name not in CHANGEABLE}
    if unknown:
        raise ChangeRefused(unknown)
    ApplicationSettings.objects.get_or_create(pk=1)
    found = ApplicationSettings.objects.select_for_update().get(pk=1)
    before = {name: getattr(found, name) for name in values}
    for name, value in values.items():
        setattr(found, name, value)
    try:
        found.full_clean(exclude=_ALL - values.keys())
    except ValidationError as exc:
        problems = {field: [text.rstrip(".") for text in said] for field, said in exc.message_dict.items()}
        raise ChangeRefused(problems) from None
    found.save()
    changed = {name: [before[name], value] for name, value in values.items() if before[name] != value}
    if changed:
        record("settings_changed", found, by=by, **changed)
    return found
