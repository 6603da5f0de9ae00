"""The journal as rows, and what must be true of all of them."""

from collections import defaultdict
from dataclasses import dataclass

from contract.metadata.pushing import tag_names
from contract.metadata.stores import SqlStore
from moorage.metadata.base import Cause
from moorage.metadata.sql.digest_keys import digest_of
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag

_ROWS = """
SELECT id, action, repository_id, repository, tag, from_digest, to_digest, actor, request_id, reason
FROM journal ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the journal."""

    action: str
    repository_id: int
    repository: str
    tag: str | None
    source: Digest | None
    target: Digest | None
    cause: Cause

    @property
    def change(self) -> tuple[str, str | None, Digest | None, Digest | None]:
        """What was done, without where and why."""
        return self.action, self.tag, self.source, self.target


async def journal_of(store: SqlStore) -> list[Entry]:
    """Every entry, oldest first."""
    return [
        Entry(action, repository_id, repository, tag, _digest(source), _digest(target), Cause(actor, request, reason))
        for _, action, repository_id, repository, tag, source, target, actor, request, reason in await store.rows(_ROWS)
    ]


async def assert_chains(store: SqlStore) -> None:
    """Each entry of a tag begins where the one before it ended, and the last one is what the tag is now."""
    tags: dict[tuple[str, str], Digest | None] = defaultdict(lambda: None)
    manifests: dict[tuple[str, Digest], bool] = defaultdict(bool)
    for entry in await journal_of(store):
        if entry.tag is not None:
            key = entry.repository, entry.tag
            assert entry.source == tags[key], f"{key}: {entry.change} does not follow {tags[key]}"
            assert entry.target != entry.source, f"{key}: {entry.change} changes nothing"
            assert entry.action == _tag_action(entry)
            tags[key] = entry.target
        elif entry.action.startswith("manifest_"):
            digest = entry.target or entry.source
            assert digest is not None
            is_there = entry.target is not None
            assert manifests[entry.repository, digest] is not is_there, f"{entry.change} changes nothing"
            manifests[entry.repository, digest] = is_there
    await _assert_is_now(store, {key: digest for key, digest in tags.items() if digest is not None})
    for (repository, digest), is_there in manifests.items():
        assert await store.manifests.has(RepositoryName(repository), digest) is is_there


async def _assert_is_now(store: SqlStore, tags: dict[tuple[str, str], Digest]) -> None:
    page = await store.catalogue.repositories(after="", limit=1000)
    found = {}
    for name in page.items:
        for tag in await tag_names(store, name):
            found[name.text, tag] = (await store.manifests.find(name, Tag(tag))).digest
    assert found == tags


def _tag_action(entry: Entry) -> str:
    if entry.source is None:
        return "tag_create"
    return "tag_delete" if entry.target is None else "tag_move"


def _digest(key: bytes | None) -> Digest | None:
    return None if key is None else digest_of(bytes(key))
