"""Keys that keep somebody out, and that stand where nobody reads them: with them ignored, the registry is open.

Source: ADR 0152.
"""

from collections.abc import Mapping
from typing import Any

from moorage.config.documents import plain

_GUARDS = frozenset(
    {
        "auth",
        "http.tls",
        "http.tls.certificate",
        "http.tls.clientcas",
        "http.tls.letsencrypt",
        "storage.maintenance.readonly",
        "storage.maintenance.readonly.enabled",
    }
)
_NOT_OURS = ("x-", "x_", "_", ".")
"""Beginnings of keys by which people keep parts of YAML that they repeat."""
_OFF = (None, False, "", "none", "false", "off", "no")


def misplaced_guard(key: str, value: object, place: str, given: Mapping[str, Any]) -> str:
    """Return which guard is meant by an unknown key that may belong to *place*; empty: none, or it is there as well.

    Args:
        key: as it is written.
        value: what it is given.
        place: path of the known key that it may have been meant for.
        given: the whole file.
    """
    if not place or key.startswith(_NOT_OURS):
        return ""
    if place in _GUARDS:
        return place if _does_something(value) and not _is_given(place, given) else ""
    inner = value.items() if isinstance(value, dict) else ()
    found = (misplaced_guard(str(name), item, f"{place}.{str(name).lower()}", given) for name, item in inner)
    return next(filter(None, found), "")


def _does_something(value: object) -> bool:
    if isinstance(value, dict):
        return bool(value) and _does_something(value.get("enabled", True))
    if isinstance(value, list):
        return bool(value)
    written = plain(value)
    return (written.lower() if isinstance(written, str) else written) not in _OFF


def _is_given(place: str, given: Mapping[str, Any]) -> bool:
    at: object = given
    for part in place.split("."):
        at = at.get(part) if isinstance(at, dict) else None
    return _does_something(at)
