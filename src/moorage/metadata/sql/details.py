"""Details of repositories and tags, from the database."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from moorage.gitlab_errors import TagUnknown
from moorage.metadata.aside import aside, in_turns
from moorage.metadata.base import Page, no_repository
from moorage.metadata.details import (
    Configuration,
    DetailStore,
    Image,
    Order,
    Referrer,
    RepositoryDetails,
    TagDetails,
    TagEntry,
    TagPage,
    TagPosition,
    TagSelection,
    Times,
    platform_of,
)
from moorage.metadata.sql.digest_keys import digest_key, digest_of
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.sql.base import Database, Row, Value, maybe_moment, moment
from moorage.sql.queries import load_queries

IMAGES_LIMIT = 10_000
"""Images that the details of one tag show at most: indexes in indexes may name the same ones again and again."""

_CONFIG_PAYLOAD = 5
"""The place of an image's configuration in a row."""

_QUERIES = load_queries("moorage.metadata.sql", "details")
_LISTS = load_queries("moorage.metadata.sql", "tag_lists")

_ENDS: Mapping[bool, TagPosition] = {
    False: TagPosition("", datetime(1, 1, 2, tzinfo=UTC)),
    True: TagPosition("~", datetime(9999, 12, 30, tzinfo=UTC)),
}
"""Before every tag and after it: no tag has a ``~``, which sorts after all that tags may have."""


class SqlDetails(DetailStore):
    """Reads, each by an index."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def repository(self, name: RepositoryName) -> RepositoryDetails:
        row = await self._database.first(_QUERIES["repository_details"], name.text, repository=name.text)
        if row is None:
            raise no_repository(name)
        return _repository(row)

    async def has_namespace(self, name: RepositoryName) -> bool:
        namespace = name.text.partition("/")[0]
        return await self._database.first(_QUERIES["has_namespace"], namespace, repository=name.text) is not None

    async def repositories(self, under: RepositoryName, *, after: str, limit: int) -> Page[RepositoryDetails]:
        below = max(after, f"{under.text}/")
        args = (under.text, after, below, limit + 1)
        rows = await self._database.all(_QUERIES["repositories_under"], *args, repository=under.text)
        return Page([_repository(row) for row in rows[:limit]], more=len(rows) > limit)

    async def tag(self, name: RepositoryName, tag: Tag) -> TagDetails:
        row = await self._database.first(_QUERIES["tag_details"], name.text, tag.text, repository=name.text)
        if row is None:
            await self.repository(name)
            raise _tag_unknown(tag.text)
        *_, root_id, created_at, updated_at, published_at = row
        rows = await self._database.all(_QUERIES["references"], root_id, IMAGES_LIMIT, repository=name.text)
        read_bytes = sum(len(each[_CONFIG_PAYLOAD] or b"") for each in (row, *rows))
        image = await aside(read_bytes, _tree, row, rows)
        return TagDetails(tag, image, _times(created_at, updated_at, published_at))

    async def tags(self, name: RepositoryName, selection: TagSelection) -> TagPage:
        walk = await self._walk(name, selection)
        rows = await self._listed("tags", walk, selection.limit + 1)
        if not rows:
            await self.repository(name)
        entries = [_entry(row) async for row in in_turns(rows[: selection.limit])]
        has_more, has_other = len(rows) > selection.limit, False
        if entries and (selection.after is not None or selection.before is not None):
            has_other = bool(await self._listed("more", walk.turned(entries[0])))
        if selection.before is not None:
            return TagPage(entries[::-1], has_before=has_more, has_after=has_other)
        return TagPage(entries, has_before=has_other, has_after=has_more)

    async def tag_entry(self, name: RepositoryName, tag: str) -> TagEntry | None:
        row = await self._database.first(_QUERIES["tag_entry"], name.text, tag, repository=name.text)
        if row is None:
            await self.repository(name)
            return None
        return _entry(row)

    async def referrers(
        self, name: RepositoryName, subjects: Sequence[Digest], *, artifact_types: Sequence[str]
    ) -> Mapping[Digest, Sequence[Referrer]]:
        if not subjects:
            return {}
        args: list[Value] = [name.text, [digest_key(digest) for digest in dict.fromkeys(subjects)]]
        query = _QUERIES["referrers"]
        if artifact_types:
            query = _QUERIES["referrers_of_types"]
            args.append(list(artifact_types))
        found = defaultdict(list)
        for subject, artifact_type, digest in await self._database.all(query, *args, repository=name.text):
            found[digest_of(subject)].append(Referrer(artifact_type, digest_of(digest)))
        return found

    async def _listed(self, what: str, walk: "_Walk", *more: Value) -> Sequence[Row]:
        query = _LISTS[f"{what}_by_{walk.kind}"]
        return await self._database.all(query, *walk.args, *more, repository=walk.path, heavy=walk.is_filtered)

    async def _walk(self, name: RepositoryName, selection: TagSelection) -> "_Walk":
        is_down = selection.descending is not (selection.before is not None)
        place = selection.before or selection.after or _ENDS[is_down]
        published_at = place.published_at
        if selection.order is Order.PUBLISHED_AT and published_at is None:
            row = await self._database.first(_QUERIES["tag_entry"], name.text, place.name, repository=name.text)
            if row is None:
                await self.repository(name)
                raise _tag_unknown(place.name)
            published_at = _entry(row).times.published_at
        return _Walk(name, selection, TagPosition(place.name, published_at), is_down=is_down)


class _Walk:
    """The place from which a list of tags is read, and the direction."""

    def __init__(self, name: RepositoryName, selection: TagSelection, place: TagPosition, *, is_down: bool) -> None:
        self._name = name
        self.path = name.text
        self._selection = selection
        self._place = place
        self._is_down = is_down

    @property
    def is_filtered(self) -> bool:
        """True if it may read through all tags, as few fit."""
        return bool(self._selection.containing)

    @property
    def kind(self) -> str:
        """The end of the name of its queries."""
        order = "name" if self._selection.order is Order.NAME else "time"
        return f"{order}_{'down' if self._is_down else 'up'}"

    @property
    def args(self) -> list[Value]:
        """The arguments of its queries."""
        place: list[Value] = [self._place.name]
        if self._selection.order is Order.PUBLISHED_AT:
            place.insert(0, self._place.published_at)
        return [self.path, *place, self._selection.containing]

    def turned(self, entry: TagEntry) -> "_Walk":
        """The other way, from *entry* on."""
        place = TagPosition(entry.name, entry.times.published_at)
        return _Walk(self._name, self._selection, place, is_down=not self._is_down)


def _tree(root: Row, rows: Sequence[Row]) -> Image:
    """The image of *root*, with what it refers to; *rows* are all references that can be reached from it."""
    children: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        children[row[7]].append(row)
    # What is nearer comes first, so that a limit cuts off what is deepest.
    nodes: list[tuple[Row, list[int]]] = [(root, [])]
    waiting = deque([0])
    while waiting:
        row, places = nodes[waiting.popleft()]
        for child in children.get(row[6], ())[: IMAGES_LIMIT - len(nodes)]:
            places.append(len(nodes))
            waiting.append(len(nodes))
            nodes.append((child, []))
    images: dict[int, Image] = {}
    for number in reversed(range(len(nodes))):
        row, places = nodes[number]
        images[number] = _image(row, tuple(images[place] for place in places))
    return images[0]


def _image(row: Row, references: tuple[Image, ...]) -> Image:
    digest, media_type, total_size, config_digest, config_media_type, config_payload = row[:6]
    configuration = None
    if config_digest is not None:
        configuration = Configuration(digest_of(config_digest), config_media_type or "", platform_of(config_payload))
    return Image(digest_of(digest), media_type, total_size, configuration, references)


def _repository(row: Row) -> RepositoryDetails:
    path, created_at, updated_at, last_published_at = row
    return RepositoryDetails(
        RepositoryName(path), moment(created_at), maybe_moment(updated_at), maybe_moment(last_published_at)
    )


def _entry(row: Row) -> TagEntry:
    name, digest, config_digest, media_type, total_size, *times = row
    config = None if config_digest is None else digest_of(config_digest)
    return TagEntry(name, digest_of(digest), media_type, config, total_size, _times(*times))


def _times(created_at: Any, updated_at: Any, published_at: Any) -> Times:  # noqa: ANN401 - as the database has them
    return Times(moment(created_at), maybe_moment(updated_at), moment(published_at))


def _tag_unknown(tag: str) -> TagUnknown:
    return TagUnknown("the repository has no such tag", tagName=tag)
