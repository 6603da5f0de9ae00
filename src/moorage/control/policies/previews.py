"""The preview of a cleanup: every tag with the rule that decides, and the bytes that would come free.

Bytes are counted as a registry stores them: what a kept tag needs stays, in this repository or in any other that there
is a record of. The other repositories are asked for each blob that would go; where that would be too many questions,
the number is the most that can come free, and says so. See ADR 0091.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from moorage.control.images.contents import ManifestContents, NeededContents, TooManyManifests
from moorage.control.images.models import ImageRepository
from moorage.control.policies.listing import JudgedTag, judge_repository
from moorage.control.policies.rules import PolicySelection
from moorage.control.protection.rules import Person
from moorage.control.refusals import ChangeRefused
from moorage.control.registry.connection import the_registry

QUESTIONS_LIMIT = 2000
"""Questions about blobs that one preview asks of the registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreedBytes:
    """The room that comes free when garbage collection has run."""

    count: int | None = 0
    """None: not counted, as there are too many manifests."""
    is_exact: bool = True
    """False: it is the most that can come free, as too many repositories would have to be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupPreview:
    """A cleanup of one repository that has not happened."""

    repository: ImageRepository
    judged: JudgedTag
    freed: FreedBytes
    """By this cleanup alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPreview:
    """A cleanup of some repositories that has not happened."""

    previews: Sequence[CleanupPreview]
    freed: FreedBytes
    """By all of them together, which may be more than the sum: what two of them share comes free once both let go."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """The contents that a repository lets go of, and those that it keeps."""

    gone: NeededContents
    kept: NeededContents

    @property
    def free_manifests(self) -> int:
        return sum(size for digest, size in self.gone.manifests.items() if digest not in self.kept.manifests)


def preview_cleanup(
    repository: ImageRepository,
    selection: PolicySelection,
    *,
    person: Person | None = None,
    now: datetime | None = None,
) -> CleanupPreview:
    """Return what *selection* would do to a repository. Rules hold as for *person*; None: every rule counts.

    Raises:
        ChangeRefused, RegistryError: as for :func:`preview_cleanups`.
    """
    return preview_cleanups([repository], selection, person=person, now=now).previews[0]


def preview_cleanups(
    repositories: Sequence[ImageRepository],
    selection: PolicySelection,
    *,
    person: Person | None = None,
    now: datetime | None = None,
) -> ProjectPreview:
    """Return what *selection* would do to some repositories, by each alone and by all of them.

    Raises:
        ChangeRefused: a pattern or the age of the selection cannot be used.
        RegistryError: the registry does not answer as it should.
    """
    if problems := selection.problems():
        raise ChangeRefused(problems)
    moment = now or timezone.now()
    judged = [judge_repository(one, selection, now=moment, person=person) for one in repositories]
    parts = {one.path: _parts(one.path, found) for one, found in zip(repositories, judged, strict=True)}
    elsewhere = _Elsewhere()
    previews = [
        CleanupPreview(repository=one, judged=found, freed=_freed({one.path: parts[one.path]}, elsewhere))
        for one, found in zip(repositories, judged, strict=True)
    ]
    freed = previews[0].freed if len(previews) == 1 else _freed(parts, elsewhere)
    return ProjectPreview(previews=previews, freed=freed)


def _parts(path: str, judged: JudgedTag) -> _Parts | None:
    going = {item.name for item in judged.deleted}
    if not going:
        return _Parts(NeededContents(), NeededContents())
    staying = [item.name for item in judged.verdicts if item.name not in going]
    contents = ManifestContents(path)
    try:
        # Names without a digest are of tags that were not asked for: what they have is not known yet.
        kept = contents.of(judged.digests.get(name) or the_registry().tag_digest(path, name) for name in staying)
        return _Parts(contents.of(judged.digests.get(name, "") for name in going), kept)
    except TooManyManifests:
        return None


def _freed(parts: Mapping[str, _Parts | None], elsewhere: "_Elsewhere") -> FreedBytes:
    known = [one for one in parts.values() if one is not None]
    if len(known) < len(parts):
        return FreedBytes(count=None, is_exact=False)
    kept = {digest for one in known for digest in one.kept.blobs}
    going = {digest: size for one in known for digest, size in one.gone.blobs.items() if digest not in kept}
    total, is_exact = sum(one.free_manifests for one in known), True
    # The largest first, so that a number that is not exact is near.
    for digest, size in sorted(going.items(), key=lambda item: (-item[1], item[0])):
        is_needed = elsewhere.is_there(digest, besides=parts.keys())
        is_exact = is_exact and is_needed is not None
        total += 0 if is_needed else size
    return FreedBytes(count=total, is_exact=is_exact)


@dataclass(slots=True)
class _Elsewhere:
    """The other repositories, asked for blobs; each is asked once for each blob."""

    asked: dict[tuple[str, str], bool] = field(default_factory=dict)
    paths: list[str] | None = None

    def is_there(self, digest: str, *, besides: Iterable[str]) -> bool | None:
        """Tell whether a repository besides those has the blob; None: too many would have to be asked."""
        if self.paths is None:
            rows = ImageRepository.objects.select_related("project").order_by("project__full_path", "name")
            self.paths = [row.path for row in rows[: QUESTIONS_LIMIT + 1]]
        left_out = set(besides)
        for path in self.paths:
            if path in left_out:
                continue
            if (path, digest) not in self.asked:
                if len(self.asked) >= QUESTIONS_LIMIT:
                    return None
                self.asked[path, digest] = the_registry().has_blob(path, digest)
            if self.asked[path, digest]:
                return True
        return False
