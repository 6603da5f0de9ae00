"""Places that a form offers: a few of however many somebody may choose, found by a part of their paths."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest

from moorage.control.namespaces.models import Namespace, Namespaces

OFFERED = 50
_TEXT_LIMIT = 255
_DIGITS = 18
"""Of an id that every database has room for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedPlaces:
    """Places to choose from."""

    rows: Sequence[Namespace]
    text: str
    """The text that was looked for."""
    is_found: bool
    """There is one with that text."""
    has_more: bool
    """There are others, with the same text."""
    chosen: int | None
    """The id of the one that is meant, as far as that is known."""

    @property
    def is_searched(self) -> bool:
        """True if there is something to look for, or something was."""
        return bool(self.text) or self.has_more


def offered_places(request: HttpRequest, allowed: Namespaces, own: Namespace | None) -> OfferedPlaces:
    """Return the places to offer of those that are *allowed*: by name, those that the address asks for (``q``, ``in``).

    Without a text they are the first ones. *own* is always offered, and so is what was chosen before.
    """
    text = request.GET.get("q", "").strip()[:_TEXT_LIMIT]
    ordered = allowed.order_by("full_path")
    found = list((ordered.filter(full_path__icontains=text) if text else ordered)[: OFFERED + 1])
    has_more, found = len(found) > OFFERED, found[:OFFERED]
    meant = _meant(request, allowed, text)
    if meant is None:
        meant = found[0] if text and found else own
    also = [one for one in (meant, own) if one is not None and one not in found]
    rows = [*dict.fromkeys(also), *found]
    chosen = meant.pk if meant is not None else None
    return OfferedPlaces(rows=rows, text=text, is_found=bool(found), has_more=has_more, chosen=chosen)


def _meant(request: HttpRequest, allowed: Namespaces, text: str) -> Namespace | None:
    """The one that was chosen already, that the address names, or whose whole path is looked for."""
    posted = request.POST.get("namespace", "")
    if posted.isascii() and posted.isdigit() and len(posted) <= _DIGITS:
        return allowed.filter(pk=int(posted)).first()
    path = text or request.GET.get("in", "")[:_TEXT_LIMIT]
    return allowed.at(path).first() if path else None
