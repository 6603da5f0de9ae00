"""Storage, links and database, observed for metrics: their own methods, with a look at clock or size around them."""

import contextlib
import functools
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from moorage.metadata.base import LinkStore
from moorage.sql.base import Database, NamedQuery, Transaction
from moorage.storage.base import StorageDriver

Observe = Callable[[str, float], None]
"""Is told of each call: its name, and how many seconds it took."""

STORAGE_ACTIONS = {
    "stat": "Stat",
    "exists": "Stat",
    "get": "GetContent",
    "put": "PutContent",
    "put_if_absent": "PutContent",
    "open": "Reader",
    "list": "List",
    "delete": "Delete",
    "copy": "Move",
    "url_for": "URLFor",
    "begin_parts": "Writer",
}
"""GitLab's names for what our methods do. Source: GitLab features MET-002."""


def observe_storage(storage: StorageDriver, observe: Observe) -> None:
    """Have *observe* told of every call to *storage*, those among them that it makes to itself."""
    for name, action in STORAGE_ACTIONS.items():
        method = getattr(storage, name, None)
        if method is not None and inspect.iscoroutinefunction(method):
            setattr(storage, name, _timed(method, _always(action), observe))


def observe_uploads(links: LinkStore, uploaded: Callable[[int], None]) -> None:
    """Have *uploaded* told of the bytes of every blob that was pushed; one that is mounted is not."""
    link = links.link

    @functools.wraps(link)
    async def linked(*args: Any, size_bytes: int, **named: Any) -> bool:  # noqa: ANN401 - whatever a link takes
        is_linked = await link(*args, size_bytes=size_bytes, **named)
        if is_linked:
            uploaded(size_bytes)
        return is_linked

    links.link = linked  # type: ignore[method-assign]  # that is what observing means


def observe_database(database: Database, observe: Observe) -> None:
    """Have *observe* told of every query, by its name; a transaction is one."""
    for name in ("all", "first", "write"):
        setattr(database, name, _timed(getattr(database, name), query_name, observe))
    if type(database).transact is not Database.transact:  # Else it is a block, which is observed below.
        setattr(database, "transact", _timed(database.transact, _always("transaction"), observe))  # noqa: B010 - as above
    begin = database.transaction

    @contextlib.asynccontextmanager
    async def transaction(*, repository: str | None = None) -> AsyncIterator[Transaction]:
        began = time.perf_counter()
        try:
            async with begin(repository=repository) as found:
                yield found
        finally:
            observe("transaction", time.perf_counter() - began)

    database.transaction = transaction  # type: ignore[method-assign]  # that is what observing means


def query_name(args: tuple[object, ...]) -> str:
    """Return the name of the query that is the first of *args*."""
    query = args[0] if args else None
    return query.name if isinstance(query, NamedQuery) else "other"


def _timed(
    method: Callable[..., Awaitable[Any]], name_of: Callable[[tuple[object, ...]], str], observe: Observe
) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def timed(*args: object, **named: object) -> object:
        began = time.perf_counter()
        try:
            return await method(*args, **named)
        finally:
            observe(name_of(args), time.perf_counter() - began)

    return timed


def _always(name: str) -> Callable[[tuple[object, ...]], str]:
    return lambda _args: name
