"""Refusals of protection rules in GitLab's form: 422, with whole sentences.

Source: GitLab features RPR-008, TPR-012.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from moorage.control.api.api_refusals import APIRefused
from moorage.control.refusals import ChangeRefused

RuleLevel = Literal["maintainer", "owner", "admin"]
LevelOrNone = Literal["", "maintainer", "owner", "admin"]
"""A level; an empty text unsets it."""


@contextmanager
def rule_refusals() -> Iterator[None]:
    """Answer 422 where a rule cannot be as it was asked for.

    Raises:
        APIRefused: it cannot.
    """
    try:
        yield
    except ChangeRefused as exc:
        raise APIRefused(422, {"error": list(_sentences(exc))}) from None


def _sentences(exc: ChangeRefused) -> Iterator[str]:
    for field, said in exc.problems.items():
        for text in said:
            yield text if field == "base" else f"{field.replace('_', ' ').capitalize()} {text}"
