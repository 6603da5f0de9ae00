"""Decisions about pulls and pushes as people read them: step by step until the one that failed, and what to do then."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from moorage.control.pages.room_texts import said
from moorage.control.projects.requesters import Requester
from moorage.control.projects.standings import standing_in_project
from moorage.control.protection.questions import person_of, tag_rules
from moorage.control.protection.rules import Person, ProtectionObstacle, delete_obstacle, push_obstacle
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_errors import RegistryError
from moorage.control.tokens.refused_access import Decision, decide
from moorage.control.tokens.rules import DecisionStep
from moorage.errors import Refused

ACTIONS = ("pull", "push", "delete")

_PASSED: dict[DecisionStep, Callable[[], str]] = {
    DecisionStep.NAME: lambda: _("The name is one that a repository can have."),
    DecisionStep.PROJECT: lambda: _("There is a project for it, which these credentials are told of."),
    DecisionStep.FEATURE: lambda: _("The registry is on in the project."),
    DecisionStep.CREDENTIALS: lambda: _("The credentials are enough to be asked further."),
    DecisionStep.SCOPE: lambda: _("The credentials themselves do not forbid it."),
    DecisionStep.ROLE: lambda: _("The role in the project is high enough."),
    DecisionStep.QUOTA: lambda: _("There is room under the quotas."),
    DecisionStep.RULE: lambda: _("No protection rule forbids it."),
}
_ADVICE: dict[DecisionStep, Callable[[], str]] = {
    DecisionStep.NAME: lambda: _("Look at the spelling: group, project, and at most two parts more."),
    DecisionStep.PROJECT: lambda: _(
        "Look at the spelling of the path first. If it is right, ask the owners of the project to add you."
    ),
    DecisionStep.FEATURE: lambda: _("A maintainer can switch the registry on in the settings of the project."),
    DecisionStep.CREDENTIALS: lambda: _("Sign in with docker login first, with your password or an access token."),
    DecisionStep.SCOPE: lambda: _("Make a token with the scope that is named, and sign in with it again."),
    DecisionStep.ROLE: lambda: _("Ask an owner or maintainer of the project for a higher role."),
    DecisionStep.QUOTA: lambda: _("Delete tags that nobody needs, have a cleanup policy do it, or ask for more room."),
    DecisionStep.RULE: lambda: _(
        "Push another name, or ask a maintainer: the rules are on the page Protection of the project."
    ),
}


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step of a decision: ``yes``, ``no``, or empty for all that was not come to."""

    state: str
    text: str


def step_rows(step: DecisionStep | str | None, reason: str) -> Sequence[StepRow]:
    """Return the steps of a decision that failed at *step* for *reason*; None: it did not fail."""
    rows = []
    for one in DecisionStep:
        if one == step:
            rows.append(StepRow("no", said(reason)))
            if one is not DecisionStep.RULE:
                rows.append(StepRow("", _("What comes after was not asked.")))
            break
        rows.append(StepRow("yes", _PASSED[one]()))
    return rows


def advice_on(step: DecisionStep | str | None) -> str:
    """Return what to do about a refusal at *step*."""
    return _ADVICE[DecisionStep(step)]() if step else ""


def decide_on_tag(who: Requester, repository: str, action: str, tag: str) -> Decision:
    """Decide as the token endpoint and then the registry would about *action* with a tag; empty: with none."""
    decision = decide(who, repository, action)
    if decision.step is not None or decision.project is None or not tag or action == "pull":
        return decision
    is_there = action == "push" and _is_there(repository, tag)
    rules, person = tag_rules(decision.project), person_of(standing_in_project(who, decision.project))
    if action == "delete":
        obstacle = delete_obstacle(rules, tag, person)
    else:
        obstacle = push_obstacle(rules, tag, person or Person(), is_there=is_there)
    if obstacle is None:
        return decision
    why = "the tag is immutable" if obstacle is ProtectionObstacle.IMMUTABLE else "the tag is protected"
    return Decision(action=action, project=decision.project, step=DecisionStep.RULE, reason=why, shown=why)


def _is_there(repository: str, tag: str) -> bool:
    try:
        return bool(the_registry().tag_digest(repository.lower(), tag))
    except (RegistryError, Refused):
        return True  # Nobody knows: what is said then is what would be refused.
