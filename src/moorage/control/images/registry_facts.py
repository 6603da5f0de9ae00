"""The registry's own word about what it is, kept beside the settings, where GitLab's clients look for it.

Source: GitLab features APP-008.
"""

from datetime import datetime, timedelta

import structlog
from django.conf import settings

from moorage.control.instance.models import ApplicationSettings
from moorage.control.jobs.loop import Turn
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_errors import RegistryError

AGAIN = timedelta(minutes=5)

_LOG = structlog.get_logger("moorage.control.images")


class RegistryFacts:
    """The worker that asks the registry what it is; each process asks for itself, and writes only what is new."""

    name = "registry_facts"
    slots = 1

    def __init__(self) -> None:
        self._due_at: datetime | None = None

    def step(self, turn: Turn) -> bool:
        """Ask, if it is time; what was known stays where the registry does not answer."""
        now = turn.now
        if not settings.MOORAGE.configuration.registry.enabled or (self._due_at is not None and now < self._due_at):
            return False
        self._due_at = now + AGAIN
        try:
            found = the_registry().info(is_fresh=True)
        except RegistryError as exc:
            _LOG.warning("the registry does not say what it is", reason=str(exc))
            return False
        if found.token_refusal:
            # Such as with the key of another node: people log in here, and each of their requests is refused there.
            _LOG.error(
                "the registry takes no token of this control plane: its rootcertbundle, issuer and service have to be "
                "those of registry.key, registry.issuer and container_registry here",
                reason=found.token_refusal,
            )
        said = {
            "container_registry_vendor": found.vendor,
            "container_registry_version": found.version,
            "container_registry_features": list(found.features),
            "container_registry_db_enabled": found.is_database_enabled,
        }
        known = ApplicationSettings.now()
        if any(getattr(known, name) != value for name, value in said.items()):
            ApplicationSettings.objects.update_or_create(pk=1, defaults=said)
        return False
