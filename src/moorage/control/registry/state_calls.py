"""Calls of ``/moorage/v1/`` about the registry itself: its parts, checks, and work beside requests.

Source: docs/reference/api.md.
"""

import threading
from datetime import UTC, datetime

from moorage.control.registry import internal_access as access
from moorage.control.registry import reading_answers as reading
from moorage.control.registry.reading_answers import Fields, number, objects, text, value_of
from moorage.control.registry.registry_errors import RegistryIsOther, RegistryUnknown
from moorage.control.registry.state_values import (
    DataMigration,
    DataMigrations,
    DifferenceKind,
    FoundDifference,
    IntegrityCheck,
    KnownIntegrity,
    KnownState,
    LinkAdoption,
    NotAdopted,
    RegistryPart,
    RegistryState,
)
from moorage.control.registry.transport import RegistryTransport

_ROOT = "/moorage/v1"


class StateCalls:
    """The calls. Each raises what the methods of ``ControlRegistry`` do.

    Raises:
        RegistryIsOther: there is no such API: the registry is not Moorage's own, or is older, or has no database.
    """

    def __init__(self, transport: RegistryTransport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._known: KnownState | None = None

    @property
    def known(self) -> KnownState | None:
        """The last state that this process was told; None: none yet."""
        with self._lock:
            return self._known

    def status(self) -> RegistryState:
        """Return how each part of the registry is, and remember it."""
        found = self._ask("status")
        state = value_of(
            RegistryState,
            found,
            is_read_only=found.get("read_only") is True,
            has_database=text(found, "metadata") == "database",
            parts=[_part(item) for item in objects(found.get("parts"))],
            nodes=[(text(item, "name"), number(item, "processes") or 0) for item in objects(found.get("nodes"))],
        )
        with self._lock:
            self._known = KnownState(state=state, told_at=datetime.now(UTC))
        return state

    def integrity(self) -> KnownIntegrity:
        """Return what is known of checks."""
        found = self._ask("integrity")
        return KnownIntegrity(last=_check(found.get("last")), unfinished=_check(found.get("unfinished")))

    def migrations(self) -> DataMigrations:
        """Return how background migrations stand."""
        found = self._ask("background-migrations")
        return DataMigrations(
            is_on=found.get("migrates") is True,
            migrations=[_migration(item) for item in objects(found.get("migrations"))],
        )

    def adoption(self) -> LinkAdoption:
        """Return how far link files are taken over."""
        found = self._ask("adoption")
        return value_of(
            LinkAdoption,
            found,
            stage=text(found, "state"),
            is_accepted=found.get("accepted") is True,
            first_left_out=[_not_adopted(item, "reason") for item in objects(found.get("first_left_out"))],
            first_faults=[_not_adopted(item, "error") for item in objects(found.get("first_faults"))],
        )

    def _ask(self, what: str) -> Fields:
        try:
            answer = self._transport.ask("GET", f"{_ROOT}/{what}", access=access.catalogue())
        except RegistryUnknown as exc:
            msg = f"the registry does not tell of its {what}: it is not Moorage's own, is older, or has no database"
            raise RegistryIsOther(msg) from exc
        return reading.fields(answer.json())


def _part(found: Fields) -> RegistryPart:
    return value_of(RegistryPart, found)


def _check(value: object) -> IntegrityCheck | None:
    if not isinstance(value, dict):
        return None
    found: Fields = value
    return value_of(
        IntegrityCheck,
        found,
        has_verified=found.get("verified_digests") is True,
        has_repaired=found.get("repaired") is True,
        share=_share(found),
        kinds=[value_of(DifferenceKind, item) for item in objects(found.get("differences"))],
        first=[value_of(FoundDifference, item) for item in objects(found.get("first"))],
    )


def _migration(found: Fields) -> DataMigration:
    return value_of(DataMigration, found, share=_share(found))


def _not_adopted(found: Fields, reason: str) -> NotAdopted:
    return NotAdopted(kind=text(found, "kind"), path=text(found, "path"), reason=text(found, reason))


def _share(found: Fields) -> float:
    value = found.get("share")
    if not isinstance(value, int | float) or isinstance(value, bool):
        return 0.0
    return min(max(float(value), 0.0), 1.0)
