"""Cleanup policies as the API takes and shows them. Source: GitLab features CPD-003 to CPD-011."""

from typing import Annotated, Any

from ninja import Schema
from pydantic import BeforeValidator, Field

from moorage.control.api.parameters import Given, ShortText
from moorage.control.api.shapes import Moment
from moorage.control.audit.actors import Actor
from moorage.control.policies.changes import change_policy
from moorage.control.policies.models import CleanupPolicy
from moorage.control.projects.models import Project
from moorage.control.refusals import ChangeRefused

_COUNT_LIMIT = (1 << 31) - 1


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


Count = Annotated[Annotated[int, Field(ge=0, le=_COUNT_LIMIT)] | None, BeforeValidator(_none_if_empty)]
"""A number, or none."""
Age = Annotated[ShortText | None, BeforeValidator(_none_if_empty)]
"""An age such as ``7d``, or none."""


class PolicyShape(Schema):
    """A project's cleanup policy."""

    cadence: str
    enabled: bool
    keep_n: int | None
    older_than: str | None
    name_regex: str
    name_regex_keep: str | None
    next_run_at: Moment | None


class PolicyRules(Given):
    """Rules of a policy; null or an empty text takes a rule away."""

    keep_n: Count = Field(None, description="So many of the newest stay: 1, 5, 10, 25, 50, 100.")
    older_than: Age = Field(None, description="Only older ones go: `7d`, `14d`, `30d`, `60d`, `90d`.")
    name_regex: ShortText | None = Field(None, description="The older name of name_regex_delete.")
    name_regex_delete: ShortText | None = Field(None, description="RE2 that the whole name matches; `.*`: all.")
    name_regex_keep: ShortText | None = Field(None, description="Tags that this matches stay.")

    def changes(self) -> dict[str, Any]:
        """Return the values that were given, by the names that changes know them by."""
        found = self.model_dump(exclude_unset=True)
        if "name_regex_delete" in found:
            found["name_regex"] = found.pop("name_regex_delete")
        if "name_regex" in found:
            found["name_regex"] = found["name_regex"] or ""
        return found


class PolicyAttributes(PolicyRules):
    """Values of a cleanup policy."""

    enabled: bool | None = None
    cadence: ShortText | None = Field(None, description="`1d`, `7d`, `14d`, `1month` or `3month`.")

    def changes(self) -> dict[str, Any]:
        """Return the values that were given; a policy is always on or off, and has a cadence."""
        found = super().changes()
        return {name: value for name, value in found.items() if name not in {"enabled", "cadence"} or value is not None}


def policy_or_defaults(project: Project) -> CleanupPolicy:
    """Return a project's policy, or the one that it has as long as none was saved."""
    found: CleanupPolicy | None = getattr(project, "container_expiration_policy", None)
    return found or CleanupPolicy(project=project)


def apply_policy(project: Project, attributes: PolicyAttributes | None, *, by: Actor) -> None:
    """Change a project's policy as a call about the project asks.

    Raises:
        ChangeRefused: a value is not possible.
    """
    changes = attributes.changes() if attributes is not None else {}
    if not changes:
        return
    try:
        project.container_expiration_policy = change_policy(project, by=by, **changes)
    except ChangeRefused as exc:
        problems = {f"container_expiration_policy.{field}": said for field, said in exc.problems.items()}
        raise ChangeRefused(problems) from None
