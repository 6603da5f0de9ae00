"""Lists of repositories and tags, read from indexes."""

import asyncio

from moorage.metadata.base import CatalogueStore, Page, no_repository
from moorage.metadata.sql.journal_rows import QUERIES
from moorage.oci.names import RepositoryName, Tag
from moorage.sql.base import Database

_BATCH = 1000


class SqlCatalogue(CatalogueStore):
    """``repositories`` and ``tags``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def repositories(self, *, after: str, limit: int) -> Page[RepositoryName]:
        rows = await self._database.all(QUERIES["repositories"], comparable(after), limit + 1)
        return Page([RepositoryName(row[0]) for row in rows[:limit]], more=len(rows) > limit)

    async def tags(self, name: RepositoryName, *, after: str, limit: int | None) -> Page[Tag]:
        found: list[Tag] = []
        after = comparable(after)
        while True:
            batch = _BATCH if limit is None else min(limit - len(found) + 1, _BATCH)
            rows = await self._database.all(QUERIES["tags"], name.text, after, batch, repository=name.text)
            found += [Tag(row[0]) for row in rows]
            if limit is not None and len(found) > limit:
                return Page(found[:limit], more=True)
            if len(rows) < batch:
                break
            after = rows[-1][0]
            await asyncio.sleep(0)  # SQLite's answers come without a wait, and others have requests too.
        if not found:
            await self._check_there(name)
        return Page(found, more=False)

    async def _check_there(self, name: RepositoryName) -> None:
        if await self._database.first(QUERIES["is_populated"], name.text, repository=name.text) is None:
            raise no_repository(name)


def comparable(text: str) -> str:
    """*text* as databases take it, with the same names before and after it.

    No name lies between a text and what it is up to its first NUL; and what is no character comes after every name.
    """
    return text.partition("\0")[0].encode("utf-8", "surrogatepass").decode("utf-8", "replace")
