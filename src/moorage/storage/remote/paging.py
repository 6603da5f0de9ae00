"""Lists in the order of names, from a store that lists in the order of keys.

A folder stands among keys by its name with a slash: ``v1-rc/`` and ``v1.0/`` come before ``v1/``, as ``-`` and ``.``
come before ``/``. So of the names that a list would end with, some that belong before them may still be ahead: those
that are the beginning of another name, cut before such a character. They are few, and asked for one by one.
"""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from moorage.errors import PathUnknown
from moorage.storage.base import FolderEntry, is_name

PAGE = 1000
_AT_ONCE = 16
_NO_UTF8 = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Keys in their order; with a slash at its end, what stands for all keys that begin with it."""

    keys: Sequence[str]
    token: str = ""
    """The place where the next page begins, in the store's own words; empty: this was the last."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """The bytes of objects, by key; those that the store tells."""


class FoldedKeys(Protocol):
    """A store's list of keys, folded at the first slash behind a prefix."""

    async def __call__(self, prefix: str, *, after: str = "", token: str = "", limit: int = PAGE) -> KeyPage:
        """Give the keys that begin with *prefix* and come after the key *after*, at most *limit*.

        *token*: of the page before, asked for with the same prefix and *after*. A page may have fewer keys, even none,
        without being the last; that it has some which come before *after* does no harm.
        """


async def names_in(keys_of: FoldedKeys, prefix: str, *, after: str, limit: int | None) -> list[FolderEntry]:
    """Return what :meth:`~moorage.storage.base.ObjectStorage.list` does, for the folder with this *prefix*.

    Raises:
        PathUnknown: there is nothing below the prefix.
    """
    found: dict[str, FolderEntry] = {}
    # Half of a surrogate pair is a byte that is no UTF-8, which no key has: it is begun a little before it.
    begin = _NO_UTF8.split(after, maxsplit=1)[0]
    behind, token = "", ""
    is_there = False
    while limit is None or len(found) < limit:
        # One more than is missing: the folder *after* itself, as its key has a slash behind.
        wanted = PAGE if limit is None else min(PAGE, limit - len(found) + 1)
        page = await keys_of(prefix, after=prefix + begin if begin else "", token=token, limit=wanted)
        is_there, token = is_there or bool(page.keys), page.token
        for key in page.keys:
            behind = key.removeprefix(prefix)
            name = behind.removesuffix("/")
            if name > after and is_name(name) and not (name in found and found[name].is_folder):
                found[name] = FolderEntry(name, behind.endswith("/"), page.sizes.get(key))
        if not token:
            break
    if not is_there and not ((after or limit == 0) and await _is_there(keys_of, prefix)):
        raise PathUnknown(prefix)
    if token:
        await _look_ahead(keys_of, prefix, found, _ahead(found, after=after, behind=behind))
    return [found[name] for name in sorted(found)[:limit]]


async def _is_there(keys_of: FoldedKeys, prefix: str) -> bool:
    token = ""
    while True:
        page = await keys_of(prefix, token=token, limit=1)
        if page.keys or not page.token:
            return bool(page.keys)
        token = page.token


async def _look_ahead(keys_of: FoldedKeys, prefix: str, found: dict[str, FolderEntry], names: Collection[str]) -> None:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def look(name: str) -> None:
        async with turns:
            if await _is_there(keys_of, f"{prefix}{name}/"):
                found[name] = FolderEntry(name, is_folder=True)

    try:
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(look(name))
    except BaseExceptionGroup as exc:
        raise exc.exceptions[0] from None


def _ahead(found: Collection[str], *, after: str, behind: str) -> set[str]:
    """The names that come before some of *found*, and as folders stand behind the cursor in the order of keys."""
    cut = {name[:at] for name in found for at in range(1, len(name)) if name[at] < "/"}
    return {name for name in cut if name > after and name not in found and f"{name}/" > behind and is_name(name)}
