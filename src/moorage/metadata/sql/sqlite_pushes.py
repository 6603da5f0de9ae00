"""A push into SQLite: in steps, in a transaction that no other runs beside."""

from collections.abc import Sequence

from moorage.metadata.base import TagThere, moved_since
from moorage.metadata.sql.digest_keys import digest_of, portions
from moorage.metadata.sql.journal_rows import QUERIES, journal_row, repository_id
from moorage.metadata.sql.outbox import write_notices
from moorage.metadata.sql.push_writing import ManifestChange, NewLink, PushWriter
from moorage.notifications.events import Notice
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.sql.base import Database, Transaction


class SqlitePushes(PushWriter):
    """Statements one after the other: each is a call in this process, and no way to anywhere."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def link_blob(self, name: RepositoryName, link: NewLink, *, told: Sequence[Notice]) -> bool:
        return await self._database.transact(
            lambda transaction: _link_blob(transaction, name, link, told=told), repository=name.text
        )

    async def put_manifest(
        self, name: RepositoryName, change: ManifestChange, *, told: Sequence[Notice]
    ) -> Sequence[Digest]:
        async with self._database.transaction(repository=name.text) as transaction:
            missing = await _missing_of(transaction, name, change.required)
            if not missing:
                repository = await repository_id(transaction, name, change.at, populate=True)
                manifest = await _put(transaction, name, change, repository=repository)
                await _point_tags(transaction, name, change, repository=repository, manifest=manifest)
                await write_notices(transaction, told)
        return missing


async def _link_blob(transaction: Transaction, name: RepositoryName, link: NewLink, *, told: Sequence[Notice]) -> bool:
    if link.removals is None:
        in_queue = await transaction.first(QUERIES["renew_expected"], link.digest, link.token)
    else:
        in_queue = await transaction.first(QUERIES["note_placed"], link.digest, link.token, link.removals)
    if in_queue is None:
        return False
    if link.size_bytes is not None:
        await transaction.all(QUERIES["add_blob"], link.digest, link.size_bytes, link.at)
    elif await transaction.first(QUERIES["known_blob"], link.digest) is None:
        return False
    if await transaction.first(QUERIES["add_link_by_path"], name.text, link.digest, link.at) is None:
        repository = await repository_id(transaction, name, link.at)
        await transaction.all(QUERIES["add_link"], repository, link.digest, link.at)
    await write_notices(transaction, told)
    return True


async def _missing_of(transaction: Transaction, name: RepositoryName, needed: list[bytes]) -> list[Digest]:
    """Those of *needed* that are neither blobs nor manifests of the repository."""
    missing: list[Digest] = []
    async for part in portions(needed):
        found = {row[0] for row in await transaction.all(QUERIES["known_blobs"], name.text, part)}
        rest = [key for key in part if key not in found]
        if rest:
            found |= {row[0] for row in await transaction.all(QUERIES["known_manifests"], name.text, rest)}
        missing += [digest_of(key) for key in rest if key not in found]
    return missing


async def _put(transaction: Transaction, name: RepositoryName, change: ManifestChange, *, repository: int) -> int:
    """Write a manifest with what it refers to, or let one that was deleted live again. Return its row."""
    new = change.manifest
    row = await transaction.first(QUERIES["stored_manifest"], repository, new.digest)
    if row is None:
        action: str | None = "manifest_create"
        columns = new.arguments()[:10]
        row = await transaction.first(QUERIES["add_manifest"], repository, *columns, change.at)
        assert row is not None  # noqa: S101 - INSERT … RETURNING gives the row
    else:
        action = None if row[1] is None else "manifest_restore"
        arguments = (row[0], repository, new.media_type, new.config, new.payload)
        await transaction.all(QUERIES["revive_manifest"], *arguments)
    manifest: int = row[0]
    async for part in portions(new.blobs):
        await transaction.all(QUERIES["add_layers"], manifest, repository, part)
    async for part in portions(new.children):
        await transaction.all(QUERIES["add_references"], manifest, repository, part)
    # What was not required may be absent; it is needed all the same once it comes.
    if loose := new.needs - {*change.required, new.digest}:
        await transaction.all(QUERIES["forget_sparse"], manifest)
        await transaction.run_many(QUERIES["add_sparse"], [(key, repository, manifest) for key in sorted(loose)])
    if action is not None:
        entry = journal_row(name, action, repository_id=repository, cause=change.cause, at=change.at, to_key=new.digest)
        await transaction.all(QUERIES["write_journal"], *entry)
    return manifest


async def _point_tags(
    transaction: Transaction, name: RepositoryName, change: ManifestChange, *, repository: int, manifest: int
) -> None:
    is_published = False
    for tag in change.tags:
        row = await transaction.first(QUERIES["tag_target"], repository, tag)
        if tag in change.expected:
            _check_expected(tag, there=None if row is None else row[1], expected=change.expected[tag])
        if row is not None and row[1] == change.manifest.digest:
            continue
        if row is None:
            action, before = "tag_create", None
            await transaction.all(QUERIES["add_tag"], repository, tag, manifest, change.at)
        else:
            action, before = "tag_move", row[1]
            await transaction.all(QUERIES["move_tag"], row[0], manifest, change.at)
        is_published = True
        entry = journal_row(
            name,
            action,
            repository_id=repository,
            cause=change.cause,
            at=change.at,
            tag=tag,
            from_key=before,
            to_key=change.manifest.digest,
        )
        await transaction.all(QUERIES["write_journal"], *entry)
    if is_published:
        await transaction.all(QUERIES["publish_repository"], repository, change.at)


def _check_expected(tag: str, *, there: bytes | None, expected: bytes | None) -> None:
    if there == expected:
        return
    if expected is None:
        raise TagThere(tag)
    raise moved_since(Tag(tag))
