"""A request's wants, and its credentials' rights: pure decisions, used by every route."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from moorage.auth.protections import UNPROTECTED, Protection
from moorage.errors import Denied
from moorage.oci.names import RepositoryName


class Action(StrEnum):
    """Actions, in the words of Docker's token specification."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"
    ALL = "*"

    __hash__ = str.__hash__  # An enumeration's own is a function of Python, and this is asked for in every request.


class Access(NamedTuple):
    """One thing that a request wants: an action on a repository, or on the registry's catalogue."""

    kind: Literal["repository", "registry"]
    name: str
    action: Action

    @classmethod
    def repository(cls, name: RepositoryName, *actions: Action) -> "tuple[Access, ...]":
        """Access to one repository."""
        return _of_repository(name.text, actions)

    @classmethod
    def move(cls, name: RepositoryName, namespace: str) -> "tuple[Access, ...]":
        """Access to give a repository, and those below it, a name in a namespace."""
        below, there = cls("repository", f"{name}/*", Action.PULL), cls("repository", f"{namespace}/*", Action.PUSH)
        return (*cls.repository(name, Action.PULL, Action.PUSH), below, there)


@lru_cache(maxsize=512)
def _of_repository(name: str, actions: tuple[Action, ...]) -> tuple[Access, ...]:
    """The same few are asked for again and again; names are short, once they have been parsed."""
    return tuple([Access("repository", name, action) for action in actions])


CATALOGUE = Access("registry", "catalog", Action.ALL)


STATISTICS = Access("registry", "statistics", Action.ALL)


class AccessLacking(Denied):
    """A change that needs access which the credentials do not allow.

    The caller that knows the request turns it into a challenge, which says where to get the access.
    """

    def __init__(self, wanted: "Sequence[Access]", lacking: "Iterable[Access]") -> None:
        """*wanted*: all of it; *lacking*: the part that is not allowed."""
        listed = ", ".join(f"{access.action} on {access.kind} {access.name}" for access in lacking)
        super().__init__(f"the credentials do not allow {listed}")
        self.wanted = wanted


class Payer(NamedTuple):
    """The GitLab project whose traffic a pull is, and the group at its top; 0: not known."""

    namespace_id: int = 0
    project_id: int = 0


NOBODY = Payer()


NOTHING: Mapping[str, Any] = MappingProxyType({})
"""A grant's details of repositories if there are none; one for all, as there are as many grants as tokens."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The rights of a request's credentials, or of a part of the registry that changes something by itself."""

    actor: str
    """The user, for the log and the journal; empty: nobody in particular."""
    accesses: frozenset[Access] | None
    """All that is allowed; None: everything, because nothing limits it."""
    actor_type: str = ""
    """By what kind of credentials; empty: not known."""
    projects: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    """The GitLab project of each repository, by names."""
    payers: Mapping[str, Payer] = field(default_factory=lambda: NOTHING)
    """The numbers of that project, by the repository's name."""
    protections: Mapping[str, Protection] = field(default_factory=lambda: NOTHING)
    """Things that are forbidden nevertheless, by the repository's name."""
    pasts: Mapping[str, datetime] = field(default_factory=lambda: NOTHING)
    """The moment at which the past begins that they are told of, by the repository's name; of others all of it."""

    user_token: str = field(default="", repr=False)
    """GitLab's token in the token, which is handed on to who is told of events, and to nobody else."""

    denied: str = field(default="", repr=False)
    """The issuer's words about what was asked for and is not allowed."""

    project_paths: tuple[str, ...] = field(init=False)
    """Each of those projects once."""

    def __post_init__(self) -> None:
        """Make what is written for each request once."""
        object.__setattr__(self, "project_paths", tuple(dict.fromkeys(self.projects.values())))

    def allows(self, wanted: Iterable[Access]) -> bool:
        """Return whether all of *wanted* is allowed."""
        return self.accesses is None or next(self.lacks(wanted), None) is None

    def require(self, wanted: Sequence[Access]) -> None:
        """See that all of *wanted* is allowed.

        Raises:
            AccessLacking: it is not.
        """
        if not self.allows(wanted):
            raise AccessLacking(wanted, self.lacks(wanted))

    def lacks(self, wanted: Iterable[Access]) -> Iterator[Access]:
        """Yield those of *wanted* that are not allowed."""
        accesses = self.accesses
        if accesses is None:
            return
        for access in wanted:
            if access not in accesses and Access(access.kind, access.name, Action.ALL) not in accesses:
                yield access

    def protection(self, name: RepositoryName) -> Protection:
        """Return what is forbidden in a repository nevertheless."""
        return self.protections.get(name.text, UNPROTECTED)

    def past(self, name: RepositoryName) -> datetime | None:
        """Return when the past of a repository begins that may be told of and brought back; None: it is all of it."""
        return self.pasts.get(name.text)


EVERYTHING = Grant(actor="", accesses=None)
