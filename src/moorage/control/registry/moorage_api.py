"""Calls of ``/moorage/v1/``, which only Moorage's own registry has.

Source: docs/reference/api.md.
"""

import json
from datetime import datetime
from typing import cast

from moorage.control.registry import internal_access as access
from moorage.control.registry import reading_answers as reading
from moorage.control.registry.moorage_values import (
    CollectionQueue,
    ContentFate,
    ContentHolder,
    EndpointState,
    QueueForecast,
    QueuePast,
    RecordedChange,
    RecordedChanges,
)
from moorage.control.registry.reading_answers import Fields, number, objects, text, value_of
from moorage.control.registry.registry_errors import RegistryIsOther, RegistryRefused, RegistryUnknown
from moorage.control.registry.transport import RegistryTransport

_JSON = {"Content-Type": "application/json"}
_ROOT = "/moorage/v1"
_QUEUES = ("manifests", "blobs")
_UNKNOWN = frozenset({"NAME_UNKNOWN", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN"})


class MoorageCalls:
    """The calls. Names and digests are as the caller has checked them.

    Each raises what the methods of ``ControlRegistry`` do, and ``RegistryIsOther`` where there is no such API.
    """

    def __init__(self, transport: RegistryTransport) -> None:
        self._transport = transport

    def changes(
        self,
        path: str,
        *,
        tag: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        last: str = "",
        limit: int = 50,
    ) -> RecordedChanges:
        """Return a page of what was done in a repository, or to a tag, newest first."""
        query = {"repository": path, "tag": tag, "n": str(limit), "last": last}
        query |= {"since": _written(since), "until": _written(until)}
        try:
            answer = self._transport.ask(
                "GET", f"{_ROOT}/history", access=access.pulling(path), query={k: v for k, v in query.items() if v}
            )
        except RegistryUnknown as exc:
            _see_that_it_is_moorage(exc)
            return RecordedChanges(changes=())
        found = reading.fields(answer.json())
        return RecordedChanges(
            changes=[_change(item) for item in objects(found.get("entries"))], after=answer.marker("next", "last")
        )

    def undo_tag(
        self, path: str, tag: str, *, to: str, expected: str, reason: str, since: datetime | None = None
    ) -> None:
        """Point a tag to *to*, or delete it if that is empty, if it still points to *expected*.

        A deleted manifest that it needs comes back too. *since*: it was somebody else's before then.

        Raises:
            RegistryRefused: with status 409 somebody has changed it since, with 410 what it needs is gone.
        """
        query = {"repository": path, "tag": tag}
        values: dict[str, object] = {"expected": expected or None}
        # "No such tag" cannot be said by a digest: it is what was before the change that made the tag.
        values |= {"to": to} if to else {"steps": 1}
        headers = _JSON | {"Moorage-Reason": reason.encode().decode("latin-1")}
        content = json.dumps(values).encode()
        try:
            self._transport.ask(
                "POST",
                f"{_ROOT}/tag/undo",
                access=access.changing(path, since=since),
                query=query,
                headers=headers,
                content=content,
            )
        except RegistryUnknown as exc:
            _see_that_it_is_moorage(exc)
            raise

    def collection(self) -> list[CollectionQueue]:
        """Return how garbage collection stands."""
        try:
            answer = self._transport.ask("GET", f"{_ROOT}/gc/status", access=access.catalogue())
        except RegistryUnknown as exc:
            raise _is_other() from exc
        found = reading.fields(answer.json())
        return [_queue(name, reading.fields(found.get(name))) for name in _QUEUES]

    def notifications(self) -> list[EndpointState]:
        """Return how notifications stand, for each endpoint."""
        try:
            answer = self._transport.ask("GET", f"{_ROOT}/notifications/status", access=access.catalogue())
        except RegistryUnknown as exc:
            raise _is_other() from exc
        return [_endpoint(item) for item in objects(reading.fields(answer.json()).get("endpoints"))]

    def fates(self, path: str, digest: str) -> list[ContentFate]:
        """Return why something of a repository stays, or when it goes; empty: it has no such thing."""
        try:
            answer = self._transport.ask(
                "GET", f"{_ROOT}/gc/explain", access=access.pulling(path), query={"repository": path, "digest": digest}
            )
        except RegistryUnknown as exc:
            _see_that_it_is_moorage(exc)
            return []
        return [_fate(item) for item in objects(reading.fields(answer.json()).get("found"))]


def _see_that_it_is_moorage(exc: RegistryRefused) -> None:
    if exc.code not in _UNKNOWN:
        raise _is_other() from exc


def _is_other() -> RegistryIsOther:
    return RegistryIsOther("the registry is not Moorage's own, or has no metadata database")


def _written(when: datetime | None) -> str:
    return when.isoformat() if when is not None else ""


def _change(found: Fields) -> RecordedChange:
    renamed, restorable = found.get("renamed"), found.get("restorable")
    names = cast("Fields", renamed) if isinstance(renamed, dict) else {}
    return value_of(
        RecordedChange,
        found,
        is_restorable=restorable if isinstance(restorable, bool) else None,
        renamed=(text(names, "before"), text(names, "after")),
    )


def _queue(name: str, found: Fields) -> CollectionQueue:
    return value_of(
        CollectionQueue,
        found,
        name=name,
        is_collecting=found.get("collects") is True,
        past=[_past(item) for item in objects(found.get("past"))],
        frees=[value_of(QueueForecast, item) for item in objects(found.get("frees"))],
        is_more=found.get("frees_at_least") is True,
    )


def _past(found: Fields) -> QueuePast:
    hours = found.get("hours")
    return value_of(QueuePast, found, hours=float(hours) if isinstance(hours, int | float) else 0.0)


def _fate(found: Fields) -> ContentFate:
    review = found.get("review")
    coming = cast("Fields", review) if isinstance(review, dict) else {}
    return value_of(
        ContentFate,
        found,
        is_collected=found.get("collected") is True,
        tags=reading.words(found.get("tags")),
        holders=[
            value_of(ContentHolder, item, is_deleted=item.get("deleted") is True)
            for item in objects(found.get("held_by"))
        ],
        is_more=found.get("more") is True,
        is_needed_elsewhere=found.get("needed_elsewhere") is True,
        event=text(coming, "event"),
        failed=number(coming, "failed") or 0,
        error=text(coming, "error"),
    )


def _endpoint(found: Fields) -> EndpointState:
    return value_of(EndpointState, found, is_delivered=found.get("delivered") is True)
