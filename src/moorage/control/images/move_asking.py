"""Questions before a move: whether there are images to rename, and whether the registry would do it.

Source: GitLab features MOV-001 to MOV-003.
"""

from typing import Literal, NamedTuple

from django.conf import settings

from moorage.control.audit.actors import Actor
from moorage.control.images.models import ImageRepository
from moorage.control.images.rules import rename_wish
from moorage.control.namespaces.models import Namespace
from moorage.control.namespaces.rules import joined
from moorage.control.projects.models import Project, Projects
from moorage.control.refusals import refused
from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_errors import RegistryError
from moorage.control.registry.registry_values import RenameAnswer


class _Words(NamedTuple):
    """Texts of refusals, as GitLab has them."""

    has_tags: str
    other_top: str
    not_valid: str


_RENAME = _Words(
    has_tags="Cannot rename project because it contains container registry tags!",
    other_top="Cannot rename project because it contains container registry tags!",
    not_valid="Cannot rename project, the container registry path rename validation failed: ",
)
_TRANSFER = _Words(
    has_tags="Project cannot be transferred, because image tags are present in its container registry",
    other_top=(
        "Project cannot be transferred to a different top-level namespace, because image tags are present in its "
        "container registry"
    ),
    not_valid="Project cannot be transferred because of a container registry error: ",
)
_GROUP = _Words(
    has_tags="Namespace cannot be moved because at least one project has tags in the container registry",
    other_top=(
        "Namespace cannot be moved to a different top-level namespace, because at least one project has tags in the "
        "container registry"
    ),
    not_valid="Namespace cannot be moved because of a container registry error: ",
)


class PlannedMove(NamedTuple):
    """A project or a group, and the path that it is to have."""

    place: Project | Namespace
    namespace: Namespace | None
    path: str
    by: Actor

    @property
    def old(self) -> str:
        """Its path, as the registry has it."""
        return self.place.full_path.lower()

    @property
    def new(self) -> str:
        """The path that it will have, as the registry has it."""
        return joined(self.namespace.full_path if self.namespace else "", self.path).lower()

    @property
    def projects(self) -> Projects:
        """The projects whose images move."""
        if isinstance(self.place, Project):
            return Project.objects.filter(pk=self.place.pk)
        return Project.objects.within(self.place)

    @property
    def words(self) -> _Words:
        """The texts of its refusals."""
        if not isinstance(self.place, Project):
            return _GROUP
        return _RENAME if self.place.namespace == self.namespace else _TRANSFER

    @property
    def can_be_renamed(self) -> bool:
        """True if every registry with GitLab's API renames so: within a top-level namespace, one part at once."""
        return self.old.partition("/")[0] == self.new.partition("/")[0] and len(rename_wish(self.old, self.new)) == 1

    @property
    def is_at_top(self) -> bool:
        """True if it is a top-level group, and stays one."""
        return "/" not in f"{self.old}{self.new}"


def has_images_to_rename(move: PlannedMove) -> bool:
    """Ask the registry, by a dry run; False: it has nothing at the old path, or there is none to ask.

    Raises:
        ChangeRefused: it has images there and does not rename them.
        RegistryError: it does not say.
    """
    if move.old == move.new or not move.projects.exists():
        return False
    if not settings.MOORAGE.configuration.registry.enabled:
        # Its records are known, and it keeps what they are of.
        return _see_that_none(ImageRepository.objects.of_projects(move.projects).exists(), move.words.has_tags)
    registry = the_registry()
    if not registry.info().has_gitlab_api:
        return _see_that_none(_has_tags(move, registry), move.words.has_tags)
    if not move.can_be_renamed and not (move.is_at_top and registry.renames_at_top()):
        return _see_that_none(bool(registry.repositories(move.old, limit=1).repositories), move.words.other_top)
    found = registry.rename(move.old, is_dry_run=True, **rename_wish(move.old, move.new))
    if found.answer is RenameAnswer.FAILED:
        raise RegistryError(found.message)
    if not found.answer.is_good and found.answer is not RenameAnswer.NOT_FOUND:
        raise refused("base", f"{move.words.not_valid}{found.answer}: {found.message}")
    return found.answer.is_good


def _see_that_none(has_images: bool, words: str) -> Literal[False]:  # noqa: FBT001 - it is what it says
    if has_images:
        raise refused("base", words)
    return False


def _has_tags(move: PlannedMove, registry: ControlRegistry) -> bool:
    """Ask a registry that has no lists of repositories for each that is known."""
    known = {one.path for one in ImageRepository.objects.of_projects(move.projects)}
    known |= {path.lower() for path in move.projects.values_list("full_path", flat=True)}
    return any(registry.tag_names(path) for path in sorted(known))
