"""Events, as GitLab's registry and Distribution send them; values only, and no I/O.

A change makes one event. An event becomes a notice for each endpoint that wants it.

Source: GitLab features NOT-001 to NOT-013; ADR 0059.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from moorage.oci.digests import Digest
from moorage.oci.json_documents import write_json
from moorage.oci.manifests import Descriptor, Manifest, StoredManifest
from moorage.oci.names import RepositoryName, Tag

EVENTS_MEDIA_TYPE = "application/vnd.docker.distribution.events.v1+json"
"""The type of an envelope, as GitLab's registry and Distribution 2 send it; only Distribution 3 calls the same v2."""

BLOB_MEDIA_TYPE = "application/octet-stream"

EventAction = Literal["pull", "push", "mount", "delete", "rename", "refuse"]
ACTIONS: Sequence[EventAction] = ("pull", "push", "mount", "delete", "rename")
"""Those that other registries have too; each can be ignored by name."""
Artifact = Literal["manifest", "tag", "blob"]
"""The kind of thing for metrics, as GitLab has it: what is neither a tag nor a blob counts as a manifest."""

_INDENT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An event on its way to one endpoint."""

    event_id: str
    endpoint: str
    lane: str
    """Notices of one endpoint and lane arrive in their order: the repository's name."""
    action: EventAction
    artifact: Artifact
    at: datetime
    payload: str = field(repr=False)
    """The event as JSON, in ASCII. It may hold a token of the user, which is for the receiver alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An endpoint that wants to hear: its name, and what it does not want."""

    name: str
    ignored_media_types: frozenset[str] = frozenset()
    ignored_actions: frozenset[str] = frozenset()
    hears_refusals: bool = False
    """Other registries tell of no refusals, so that a receiver has to want them."""

    def wants(self, action: EventAction, media_type: str) -> bool:
        """Return whether such an event is for this endpoint."""
        if action == "refuse" and not self.hears_refusals:
            return False
        return action not in self.ignored_actions and media_type not in self.ignored_media_types


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """The request in which something happens."""

    request: Mapping[str, str]
    """``id``, ``addr``, ``host``, ``method``, ``useragent``."""
    actor: Mapping[str, str] = field(repr=False)
    """``name``, ``user_type``, and the token in the token as ``user``; without what is not known."""
    blob_url: Callable[[RepositoryName, Digest], str]
    manifest_url: Callable[[RepositoryName, Digest], str]


def _untold(notices: Sequence[Notice]) -> None:
    del notices


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Everybody who hears of what one process does."""

    listeners: Sequence[Listener] = ()
    source: Mapping[str, str] = field(default_factory=dict)
    """The node: ``addr`` and ``instanceID``."""
    includes_references: bool = False
    """``notifications.events.includereferences``."""
    hears_blob_pulls: bool = False
    """False with a database, as in GitLab's registry."""
    storage: str = ""
    """The name of the storage driver."""
    tell: Callable[[Sequence[Notice]], None] = _untold
    """Takes notices of what changed nothing that a transaction could hold them with; never waits."""

    def __bool__(self) -> bool:
        """Return whether there is anybody."""
        return bool(self.listeners)

    def wanting(self, action: EventAction, media_type: str) -> Iterable[Listener]:
        """Yield those who want such an event."""
        return (listener for listener in self.listeners if listener.wants(action, media_type))


NOBODY_HEARS = Audience()


@dataclass(frozen=True, slots=True)
class Announcer:
    """Makes the notices of what one request does. Empty where nobody hears."""

    audience: Audience
    occasion: Occasion | None = None

    def __bool__(self) -> bool:
        """Return whether anybody hears."""
        return self.occasion is not None and bool(self.audience)

    def tell(self, notices: Sequence[Notice]) -> None:
        """Hand over notices that no transaction holds."""
        if notices:
            self.audience.tell(notices)

    def blob_pushed(self, name: RepositoryName, digest: Digest, size_bytes: int | None) -> Sequence[Notice]:
        """Return the notices of a blob that was pushed."""
        return self._blob("push", name, digest, size_bytes)

    def blob_mounted(
        self, name: RepositoryName, digest: Digest, size_bytes: int | None, *, source: RepositoryName | None
    ) -> Sequence[Notice]:
        """Return the notices of a blob that was mounted; *source* None: from wherever it was."""
        more = {} if source is None else {"fromRepository": source.text}
        return self._blob("mount", name, digest, size_bytes, more=more)

    def blob_pulled(
        self, name: RepositoryName, digest: Digest, size_bytes: int | None, *, is_redirected: bool
    ) -> Sequence[Notice]:
        """Return the notices of a blob that was pulled; none where those are not told."""
        if not self.audience.hears_blob_pulls:
            return ()
        meta: dict[str, object] = {"storageBackend": self.audience.storage}
        if is_redirected:
            meta["redirected"] = True
        return self._blob("pull", name, digest, size_bytes, meta={"blob": meta})

    def blob_deleted(self, name: RepositoryName, digest: Digest) -> Sequence[Notice]:
        """Return the notices of a blob that was taken out of a repository."""
        return self._notices("delete", name, {"digest": str(digest)}, artifact="blob")

    def manifest_pushed(
        self, name: RepositoryName, stored: StoredManifest, manifest: Manifest, tags: Sequence[Tag]
    ) -> Sequence[Notice]:
        """Return the notices of a manifest that was pushed: of each tag, or one without a tag."""
        if not self:
            return ()
        target = self._manifest(name, stored.digest, stored.media_type, len(stored.payload))
        if self.audience.includes_references:
            described = [*(ref.descriptor for ref in manifest.references), *manifest.elsewhere]
            target["references"] = [_descriptor(each) for each in described]
        if not tags:
            return self._notices("push", name, target)
        return [
            notice
            for tag in tags
            for notice in self._notices("push", name, {**target, "tag": tag.text}, artifact="tag")
        ]

    def manifest_pointed(
        self, name: RepositoryName, digest: Digest, media_type: str, size_bytes: int, *, tag: str | None
    ) -> Sequence[Notice]:
        """Return the notices of a manifest that is there again, or that a tag points to again, by an undo."""
        return self._of_manifest("push", name, self._manifest(name, digest, media_type, size_bytes), tag)

    def manifest_pulled(self, name: RepositoryName, stored: StoredManifest, tag: str | None) -> Sequence[Notice]:
        """Return the notices of a manifest that was pulled, or asked for."""
        target = self._manifest(name, stored.digest, stored.media_type, len(stored.payload))
        return self._of_manifest("pull", name, target, tag)

    def manifest_deleted(self, name: RepositoryName, digest: Digest, tags: Iterable[str] = ()) -> Sequence[Notice]:
        """Return the notices of a manifest that was deleted, after those of the *tags* that went with it."""
        told = [notice for tag in tags for notice in self.tag_deleted(name, tag)]
        return [*told, *self._notices("delete", name, {"digest": str(digest)})]

    def tag_deleted(self, name: RepositoryName, tag: str) -> Sequence[Notice]:
        """Return the notices of a tag that was deleted."""
        return self._notices("delete", name, {"tag": tag}, artifact="tag")

    def renamed(self, name: RepositoryName, target: RepositoryName) -> Sequence[Notice]:
        """Return the notices of a rename, in the lane of the new name."""
        is_same_place = name.text.rpartition("/")[0] == target.text.rpartition("/")[0]
        rename = {"type": "name" if is_same_place else "namespace", "from": name.text, "to": target.text}
        return self._notices("rename", name, {"rename": rename}, lane=target.text)

    def refused(self, name: RepositoryName, tag: str, *, reason: str, message: str) -> Sequence[Notice]:
        """Return the notices of a request that a rule refused; *tag* empty: it is about none."""
        target = {"tag": tag} if tag else {}
        meta = {"refusal": {"reason": reason, "message": message}}
        return self._notices("refuse", name, target, artifact="tag" if tag else "manifest", meta=meta)

    def _blob(
        self,
        action: EventAction,
        name: RepositoryName,
        digest: Digest,
        size_bytes: int | None,
        *,
        more: Mapping[str, object] | None = None,
        meta: Mapping[str, object] | None = None,
    ) -> Sequence[Notice]:
        if self.occasion is None:
            return ()
        target: dict[str, object] = {"mediaType": BLOB_MEDIA_TYPE, "digest": str(digest)}
        if size_bytes:
            target |= {"size": size_bytes, "length": size_bytes}
        target |= {"url": self.occasion.blob_url(name, digest), **(more or {})}
        return self._notices(action, name, target, artifact="blob", meta=meta)

    def _manifest(self, name: RepositoryName, digest: Digest, media_type: str, size_bytes: int) -> dict[str, object]:
        url = "" if self.occasion is None else self.occasion.manifest_url(name, digest)
        sizes = {"size": size_bytes, "length": size_bytes}
        return {"mediaType": media_type, "digest": str(digest), **sizes, "url": url}

    def _of_manifest(
        self, action: EventAction, name: RepositoryName, target: Mapping[str, object], tag: str | None
    ) -> Sequence[Notice]:
        if tag is None:
            return self._notices(action, name, target)
        return self._notices(action, name, {**target, "tag": tag}, artifact="tag")

    def _notices(
        self,
        action: EventAction,
        name: RepositoryName,
        target: Mapping[str, object],
        *,
        artifact: Artifact = "manifest",
        lane: str | None = None,
        meta: Mapping[str, object] | None = None,
    ) -> Sequence[Notice]:
        occasion = self.occasion
        wanting = list(self.audience.wanting(action, str(target.get("mediaType", ""))))
        if occasion is None or not wanting:
            return ()
        event_id, at = str(uuid.uuid4()), datetime.now(UTC)
        event: dict[str, object] = {
            "id": event_id,
            "timestamp": at.isoformat().replace("+00:00", "Z"),
            "action": action,
            "target": {**target, "repository": name.text},
            "request": occasion.request,
            "actor": occasion.actor,
            "source": self.audience.source,
        }
        if meta:
            event["meta"] = meta
        payload = write_json(event, parts=_parts(target))
        return [
            Notice(
                event_id=event_id,
                endpoint=listener.name,
                lane=lane or name.text,
                action=action,
                artifact=artifact,
                at=at,
                payload=payload,
            )
            for listener in wanting
        ]


SILENT = Announcer(NOBODY_HEARS)


def envelope(payload: str) -> bytes:
    """Write the body of the request that tells of one event."""
    return json.dumps({"events": [json.loads(payload)]}, indent=_INDENT).encode("ascii")


def _parts(target: Mapping[str, object]) -> int:
    """About as many values as an event has besides some twenty."""
    described = target.get("references")
    return sum(len(each) + len(each.get("annotations", ())) for each in described) if isinstance(described, list) else 0


def _descriptor(found: Descriptor) -> Mapping[str, object]:
    shown = dict(found.to_json())
    if found.urls:
        shown["urls"] = list(found.urls)
    if found.platform is not None:
        shown["platform"] = {"architecture": found.platform[1], "os": found.platform[0]}
    return shown
