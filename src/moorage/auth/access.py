"""What a request wants, and what its credentials allow: pure decisions, used by every route."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from moorage.oci.names import RepositoryName


class Action(StrEnum):
    """What can be done, in the words of Docker's token specification."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"
    ALL = "*"


class Access(NamedTuple):
    """One thing that a request wants: an action on a repository, or on the registry's catalogue."""

    kind: Literal["repository", "registry"]
    name: str
    action: Action

    @classmethod
    def repository(cls, name: RepositoryName, *actions: Action) -> "tuple[Access, ...]":
        """Access to one repository."""
        return tuple([cls("repository", name.text, action) for action in actions])


CATALOGUE = Access("registry", "catalog", Action.ALL)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a request's credentials allow."""

    actor: str
    """Who it is, for the log; empty: nobody in particular."""
    accesses: frozenset[Access] | None
    """What is allowed; None: everything, because no authentication is configured."""

    def allows(self, wanted: Iterable[Access]) -> bool:
        """Whether all of *wanted* is allowed."""
        if self.accesses is None:
            return True
        return all(self._allows_one(access) for access in wanted)

    def _allows_one(self, wanted: Access) -> bool:
        accesses = self.accesses or frozenset()
        return wanted in accesses or Access(wanted.kind, wanted.name, Action.ALL) in accesses


EVERYTHING = Grant(actor="", accesses=None)
