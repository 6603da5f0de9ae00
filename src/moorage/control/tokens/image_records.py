"""Records and rules of images, for a push: the only place where the token endpoint asks their rooms."""

from collections.abc import Collection
from typing import NamedTuple

from moorage.auth.claims import TagPatterns
from moorage.control.audit.actors import Actor
from moorage.control.images.recording import ensure_repository
from moorage.control.projects.models import Project
from moorage.control.projects.rules import Standing
from moorage.control.protection import rules
from moorage.control.protection.questions import person_of, repository_rules, tag_rules

MOVING = "the project is being moved to another path; try again in a moment"
GOING = "what is here is being deleted, and what is pushed now would go too; try again when it is gone"

_CHANGES = frozenset({"push", "delete", "*"})


class TagClaims(NamedTuple):
    """The claims about protected and immutable tags; None: the claim is not made."""

    denied: TagPatterns | None = None
    immutable: list[str] | None = None


def is_push_protected(project: Project, path: str, who: Standing) -> bool:
    """Return whether a rule forbids *who* to push to the repository at *path*.

    Source: GitLab features TKN-009.
    """
    person = person_of(who)
    return person is not None and rules.is_push_protected(repository_rules(project), path, person)


def tag_claims(project: Project, who: Standing, actions: Collection[str]) -> TagClaims:
    """Return the claims about tags for these *actions*.

    Source: GitLab features TKC-012, TKC-013.
    """
    if _CHANGES.isdisjoint(actions):  # Most tokens are to pull, and rules say nothing of that.
        return TagClaims()
    found, person = tag_rules(project), person_of(who)
    denied = rules.denied_patterns(found, person, actions) if person is not None else None
    return TagClaims(denied, rules.immutable_patterns(found, actions))


def note_push(project: Project, path: str, *, by: Actor) -> None:
    """Have a record of the repository at *path*, which may be pushed to now.

    Source: GitLab features TKN-022.
    """
    ensure_repository(project, path, by=by)
