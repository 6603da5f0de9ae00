"""The preview of a cleanup: every tag with the rule that decides, and the bytes that would come free.

Bytes are counted as a registry stores them: a layer that a kept tag of the repository also has comes free with none.
Another repository may have it too, so that the number is the most that can come free.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from moorage.control.images.models import ImageRepository
from moorage.control.policies.listing import JudgedTag, judge_repository
from moorage.control.policies.rules import PolicySelection
from moorage.control.protection.rules import Person
from moorage.control.registry.connection import the_registry
from moorage.control.registry.reading_answers import number, objects, text

MANIFESTS_LIMIT = 500
"""Manifests that are read to count bytes; where there are more, they are not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupPreview:
    """A cleanup that has not happened."""

    judged: JudgedTag
    freed_bytes: int | None
    """The most that would come free when garbage collection has run; None: not counted, as there are too many."""


def preview_cleanup(
    repository: ImageRepository,
    selection: PolicySelection,
    *,
    person: Person | None = None,
    now: datetime | None = None,
) -> CleanupPreview:
    """Return what *selection* would do to a repository. Rules hold as for *person*; None: every rule counts.

    Raises:
        RegistryError: the registry does not answer as it should.
        PatternUnusable: a pattern of the selection cannot be used.
    """
    judged = judge_repository(repository, selection, now=now or timezone.now(), person=person)
    return CleanupPreview(judged=judged, freed_bytes=_freed(repository.path, judged))


def _freed(path: str, judged: JudgedTag) -> int | None:
    going = {item.name for item in judged.deleted}
    if not going:
        return 0
    staying = [item.name for item in judged.verdicts if item.name not in going]
    contents = _Contents(path)
    try:
        # Names without a digest are of tags that were not asked for: what they have is not known yet.
        kept = contents.of(judged.digests.get(name) or the_registry().tag_digest(path, name) for name in staying)
        gone = contents.of(judged.digests.get(name, "") for name in going)
    except _TooMany:
        return None
    return sum(size for digest, size in gone.items() if digest not in kept)


class _TooMany(Exception):
    pass


@dataclass(slots=True)
class _Contents:
    """Blobs and manifests that manifests need, each read once."""

    path: str
    known: dict[str, Mapping[str, int]] = field(default_factory=dict)

    def of(self, digests: Iterable[str]) -> dict[str, int]:
        """The sizes of all that these manifests and those below them have, by digest."""
        found: dict[str, int] = {}
        todo = [digest for digest in digests if digest]
        seen = set(todo)
        while todo:
            digest = todo.pop()
            parts, below = self._read(digest)
            found |= parts
            todo += [child for child in below if child not in seen]
            seen |= set(below)
        return found

    def _read(self, digest: str) -> tuple[Mapping[str, int], list[str]]:
        if len(self.known) >= MANIFESTS_LIMIT and digest not in self.known:
            raise _TooMany
        manifest = the_registry().manifest(self.path, digest)
        self.known[digest] = {}
        if manifest is None:
            return {}, []
        value = _decoded(manifest.payload)
        config = value.get("config")
        blobs = [*objects(value.get("layers")), *([config] if isinstance(config, dict) else [])]
        sizes = {text(blob, "digest"): number(blob, "size") or 0 for blob in blobs}
        return {digest: len(manifest.payload), **sizes}, [
            text(child, "digest") for child in objects(value.get("manifests")) if text(child, "digest")
        ]


def _decoded(payload: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
