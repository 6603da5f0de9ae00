"""Notifications of the registry, read and taken in: a push makes the record of a repository that was not known.

Source: GitLab features EVT-001 to EVT-004.
"""

import hmac
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog

from moorage.control.audit.actors import Actor
from moorage.control.images.models import ImageRepository
from moorage.control.images.owning import project_at
from moorage.control.images.recording import ensure_repository
from moorage.control.images.rules import name_below
from moorage.control.projects.models import Project
from moorage.control.sent_texts import storable
from moorage.control.usage.changes import note_change
from moorage.errors import NameInvalid, Refused
from moorage.json_nesting import parse_json
from moorage.oci.names import RepositoryName

EVENTS_LIMIT = 10_000
"""Of one request."""
_REASON_LIMIT = 500

_LOG = structlog.get_logger("moorage.control.events")


class EventsInvalid(Refused):
    """A body that has no events in the form of the specification."""


class EventKind(StrEnum):
    """A kind of event, by GitLab's words."""

    PUSH_TAG = "push_tag"
    PUSH_REPOSITORY = "push_repository"
    DELETE_TAG = "delete_tag"
    DELETE_REPOSITORY = "delete_repository"
    CREATE_REPOSITORY = "create_repository"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryEvent:
    """One event, as far as the control plane looks at it."""

    action: str
    path: str
    tag: str = ""
    """Empty: it is about a manifest or a blob, or a repository."""
    media_type: str = ""
    actor: str = ""
    credential: str = ""
    """The kind of the actor's credential; empty: it is not said."""
    method: str = ""
    """Of the request."""
    request_id: str = ""
    refusal: str = ""
    """The reason of a refusal, for people."""

    @property
    def is_change(self) -> bool:
        """True if something was pushed or deleted."""
        return self.action in ("push", "delete")

    @property
    def kind(self) -> EventKind:
        """Its kind, without what only records tell."""
        return EventKind(f"{self.action}_{'tag' if self.tag else 'repository'}")


def is_from_registry(given: str, secret: str) -> bool:
    """Return whether an ``Authorization`` is the secret, in a time that does not tell. No secret lets nobody in."""
    return bool(secret) and hmac.compare_digest(given.encode(errors="replace"), secret.encode())


def read_events(body: bytes) -> Sequence[RegistryEvent]:
    """Read the events of a request.

    Raises:
        EventsInvalid: the body is not of the form that notifications have.
        NameInvalid: a repository has a name that none has.
    """
    try:
        value = parse_json(body)
    except ValueError:
        value = None
    events = value.get("events") if isinstance(value, dict) else None
    if not isinstance(events, list) or len(events) > EVENTS_LIMIT or not all(isinstance(one, dict) for one in events):
        msg = "events is missing or invalid"
        raise EventsInvalid(msg)
    found = [_event_of(event) for event in events]
    for event in found:
        if event.is_change and not RepositoryName.is_valid(event.path):
            msg = "Invalid repository path"
            raise NameInvalid(msg)
    return found


def take_in(events: Sequence[RegistryEvent]) -> Counter[EventKind]:
    """Learn from events, and return how many of each kind there were. Sent twice, they are learnt once."""
    counts: Counter[EventKind] = Counter()
    touched: dict[int, Project] = {}
    for event in events:
        if not event.is_change:
            continue
        counts[event.kind] += 1
        project = project_at(event.path)
        if project is None:
            continue
        touched[project.pk] = project
        if event.action == "push" and _remember(event, project):
            counts[EventKind.CREATE_REPOSITORY] += 1
    for project in touched.values():
        note_change(project)
    if counts:
        _LOG.info("registry events", **{kind.value: count for kind, count in counts.items()})
    return counts


def _remember(event: RegistryEvent, project: Project) -> bool:
    """Have a record of the repository; True: there was none."""
    name = name_below(project.full_path, event.path)
    if name is None or ImageRepository.objects.filter(project=project, name=name).exists():
        return False
    ensure_repository(project, event.path, by=Actor(name=event.actor or "(registry)"))
    return True


def _event_of(event: Mapping[str, object]) -> RegistryEvent:
    target, actor, request = _object(event, "target"), _object(event, "actor"), _object(event, "request")
    return RegistryEvent(
        action=_text(event, "action"),
        path=_text(target, "repository"),
        tag=_text(target, "tag"),
        media_type=_text(target, "mediaType"),
        actor=_text(actor, "name")[:255],
        credential=_text(actor, "user_type"),
        method=_text(request, "method"),
        request_id=_text(request, "id"),
        refusal=_text(_object(_object(event, "meta"), "refusal"), "message")[:_REASON_LIMIT],
    )


def _object(value: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: Mapping[str, object], name: str) -> str:
    found = value.get(name)
    return storable(found) if isinstance(found, str) else ""
