"""Parts of the registry as administrators read them: with a name, in their language, and with the page about each."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from moorage.control.pages.room_texts import said
from moorage.control.registry.state_values import RegistryPart

_TITLES = {
    "storage": gettext_noop("Storage"),
    "database": gettext_noop("Database"),
    "replica": gettext_noop("Read replicas"),
    "redis": "Redis",
    "check": gettext_noop("Health check"),
    "blobs": gettext_noop("Blobs that were asked for"),
    "notifications": gettext_noop("Notifications"),
    "collection": gettext_noop("Garbage collection"),
    "background-migrations": gettext_noop("Background migrations"),
    "adoption": gettext_noop("Adoption of link files"),
    "integrity": gettext_noop("Integrity"),
}
_NAMED = ("redis", "check")
"""Kinds of which there may be several, so that each says its name."""
_PAGES = {
    "notifications": "pages:admin-notifications",
    "collection": "pages:admin-gc",
    "background-migrations": "pages:admin-migration",
    "adoption": "pages:admin-migration",
    "integrity": "pages:admin-integrity",
    "blobs": "pages:admin-integrity",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """A part, as a page shows it."""

    part: RegistryPart
    title: str
    said: str
    next_step: str
    address: str
    """The page about it; empty: there is none."""


def part_rows(parts: Sequence[RegistryPart]) -> list[PartRow]:
    """Return parts as a page shows them."""
    return [
        PartRow(
            part=part,
            title=_title(part),
            said=said(part.said),
            next_step=said(part.next_step),
            address=reverse(_PAGES[part.kind]) if part.kind in _PAGES else "",
        )
        for part in parts
    ]


def _title(part: RegistryPart) -> str:
    title = _(_TITLES[part.kind]) if part.kind in _TITLES else part.name
    return f"{title} ({part.name})" if part.kind in _NAMED and part.name != part.kind else title
