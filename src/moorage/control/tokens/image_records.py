"""What the rooms of images and their protection say of a push: the only place where the token endpoint asks them."""

from collections.abc import Collection
from typing import NamedTuple

from moorage.auth.tokens import TagPatterns
from moorage.control.audit.actors import Actor
from moorage.control.projects.models import Project
from moorage.control.projects.rules import Standing


class TagClaims(NamedTuple):
    """The claims about protected and immutable tags; None: the claim is not made."""

    denied: TagPatterns | None = None
    immutable: list[str] | None = None


def is_push_protected(project: Project, path: str, who: Standing) -> bool:
    """Return whether a rule forbids *who* to push to the repository at *path*.

    Source: GitLab features TKN-009.
    """
    del project, path, who
    return False


def tag_claims(project: Project, who: Standing, actions: Collection[str]) -> TagClaims:
    """Return the claims about tags for these *actions*.

    Source: GitLab features TKC-012, TKC-013.
    """
    del project, who, actions
    return TagClaims()


def note_push(project: Project, path: str, *, by: Actor) -> None:
    """Have a record of the repository at *path*, which may be pushed to now.

    Source: GitLab features TKN-022.
    """
    del project, path, by
