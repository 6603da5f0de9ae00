"""Rows of the tables of operations: each API has one, and everything that is asked of an operation is in its row.

Routing, the rights that are asked for, read-only mode, the switch of deleting, 405's ``Allow`` and the reference come
from the rows; nothing else has a list of operations. Source: ADR 0042.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from moorage.auth.access import Access
from moorage.errors import MoorageError
from moorage.http.call import Call
from moorage.http.endpoints import Endpoint, Route
from moorage.oci.names import RepositoryName
from moorage.web.responses import Response

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
Handler = Callable[[Call], Awaitable[Response]]
Rights = Callable[[Call], Sequence[Access] | None]
"""Returns the access that a request needs; None: it needs nothing, not even credentials."""

READING: Sequence[Method] = ("GET", "HEAD")
READS: frozenset[str] = frozenset(READING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Documentation:
    """The description of an operation for the OpenAPI document and for the reference."""

    id: str
    summary: str
    description: str
    access: str
    """The access that the credentials have to allow, once authentication is configured."""
    query: type[BaseModel] | None = None
    """None: it has no parameters."""
    body: type[BaseModel] | None = None
    answer: type[object] | None = None
    """None: a JSON object that is not described."""
    has_pages: bool = False
    """True if ``Link`` leads to the next page."""
    refusals: Sequence[type[MoorageError]] = ()
    """Besides those that every operation has."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """One thing that a client can do: a row of a table. Each is equal to itself only, and made once."""

    endpoint: Endpoint
    methods: Sequence[Method]
    """Methods with the same handler; more than one for ``GET`` and ``HEAD``."""
    wanted: Rights
    optional: Rights | None = None
    """Returns access that a request can use but does not need: it is answered without it, too."""
    is_write: bool = True
    """True if read-only mode switches it off."""
    deletes: bool = False
    """True if it is there only with ``storage.delete.enabled``."""
    documented: Documentation | None = None

    def __post_init__(self) -> None:
        """Check the row.

        Raises:
            ValueError: it contradicts itself, which is a mistake of ours.
        """
        if self.is_write and not READS.isdisjoint(self.methods):
            msg = f"{self.endpoint.path}: GET and HEAD write nothing: say is_write=False"
            raise ValueError(msg)
        if self.deletes and not self.is_write:
            msg = f"{self.endpoint.path}: what deletes also writes"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Api:
    """An API that the application serves: its paths, its table of operations, and the handler of each row."""

    match: Callable[[str], Route | None]
    """Finds what a path (below the prefix, without a leading slash or a query) names; None if nothing of this API.

    Raises:
        NameInvalid: it is one of this API, for a repository whose name is outside the grammar.
        RouteUnknown: nothing is there, and no other API has such a path either.
    """
    operations: Sequence[Operation]
    handlers: Mapping[Operation, Handler]
    check_stored: Callable[[RepositoryName], Awaitable[None]] | None = None
    """Checks that a repository with an odd name is here; raises NameInvalid if not. None: no route has odd names."""

    def __post_init__(self) -> None:
        """Check that each row has its handler.

        Raises:
            ValueError: one has none, or one is not in the table, which is a mistake of ours.
        """
        lonely = [row.endpoint.path for row in {*self.operations} ^ {*self.handlers}]
        if lonely:
            msg = f"a row without a handler, or a handler without a row: {', '.join(sorted(lonely))}"
            raise ValueError(msg)
