"""A manifest on its way into the database. For PostgreSQL the same is the function ``put_manifest_v2``."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from moorage.metadata.base import Cause
from moorage.metadata.sql.digest_keys import digest_key, digest_of, portions
from moorage.metadata.sql.journal_rows import QUERIES, journal_row, repository_id
from moorage.oci import mediatypes
from moorage.oci.digests import Digest
from moorage.oci.manifests import Manifest, ManifestKind, StoredManifest
from moorage.oci.names import RepositoryName
from moorage.sql.base import Transaction, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class NewManifest:
    """The columns of a manifest, and the digests of what it refers to."""

    digest: bytes
    media_type: str
    artifact_type: str
    payload: bytes
    total_size: int
    config: bytes | None
    config_media_type: str | None
    config_payload: bytes | None
    subject: bytes | None
    annotations: str | None
    blobs: list[bytes]
    """All but the configuration."""
    children: list[bytes]

    @classmethod
    def of(cls, stored: StoredManifest, manifest: Manifest, configuration: bytes | None) -> Self:
        """Gather what is to be written of a manifest that was checked."""
        config, subject = manifest.config, manifest.subject
        # Layers that may stay elsewhere too: none is required, and one that somebody has pushed is needed all the same.
        layers = [ref.descriptor for ref in manifest.references if ref.kind is not ManifestKind.MANIFEST]
        blobs = {digest_key(descriptor.digest) for descriptor in (*layers, *manifest.elsewhere)}
        children = {
            digest_key(ref.descriptor.digest) for ref in manifest.references if ref.kind is not ManifestKind.BLOB
        }
        config_key = None if config is None else digest_key(config.digest)
        return cls(
            digest=digest_key(stored.digest),
            media_type=stored.media_type,
            artifact_type=manifest.artifact_type,
            payload=stored.payload,
            total_size=_total_size(stored, manifest),
            config=config_key,
            config_media_type=None if config is None else config.media_type,
            config_payload=configuration,
            subject=None if subject is None else digest_key(subject.digest),
            annotations=None if subject is None else json.dumps(dict(manifest.annotations)),
            blobs=sorted(key for key in blobs if key != config_key),
            children=sorted(children),
        )

    @property
    def needs(self) -> set[bytes]:
        """Everything that it refers to, but its subject."""
        return {*self.blobs, *self.children, *(() if self.config is None else (self.config,))}

    def arguments(self) -> tuple[Value, ...]:
        """The columns and lists, in the order of ``put_manifest_v2``."""
        columns = (self.digest, self.media_type, self.artifact_type, self.payload, self.total_size)
        config = (self.config, self.config_media_type, self.config_payload)
        return (*columns, *config, self.subject, self.annotations, self.blobs, self.children)


async def missing_of(transaction: Transaction, name: RepositoryName, needed: list[bytes]) -> list[Digest]:
    """Those of *needed* that are neither blobs nor manifests of the repository."""
    missing: list[Digest] = []
    async for part in portions(needed):
        found = {row[0] for row in await transaction.all(QUERIES["known_blobs"], name.text, part)}
        rest = [key for key in part if key not in found]
        if rest:
            found |= {row[0] for row in await transaction.all(QUERIES["known_manifests"], name.text, rest)}
        missing += [digest_of(key) for key in rest if key not in found]
    return missing


async def put_step_by_step(
    transaction: Transaction,
    name: RepositoryName,
    new: NewManifest,
    *,
    tags: list[str],
    required: Collection[bytes],
    at: datetime,
    cause: Cause,
) -> None:
    """Write a manifest and point *tags* to it, in a transaction that no other runs beside (SQLite)."""
    repository = await repository_id(transaction, name, at, populate=True)
    row = await transaction.first(QUERIES["stored_manifest"], repository, new.digest)
    if row is None:
        action: str | None = "manifest_create"
        columns = new.arguments()[:10]
        row = await transaction.first(QUERIES["add_manifest"], repository, *columns, at)
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
    if loose := new.needs - {*required, new.digest}:
        await transaction.all(QUERIES["forget_sparse"], manifest)
        await transaction.run_many(QUERIES["add_sparse"], [(key, repository, manifest) for key in sorted(loose)])
    if action is not None:
        entry = journal_row(name, action, repository_id=repository, cause=cause, at=at, to_key=new.digest)
        await transaction.all(QUERIES["write_journal"], *entry)
    is_published = False
    for tag in tags:
        row = await transaction.first(QUERIES["tag_target"], repository, tag)
        if row is not None and row[1] == new.digest:
            continue
        if row is None:
            action, before = "tag_create", None
            await transaction.all(QUERIES["add_tag"], repository, tag, manifest, at)
        else:
            action, before = "tag_move", row[1]
            await transaction.all(QUERIES["move_tag"], row[0], manifest, at)
        is_published = True
        entry = journal_row(
            name, action, repository_id=repository, cause=cause, at=at, tag=tag, from_key=before, to_key=new.digest
        )
        await transaction.all(QUERIES["write_journal"], *entry)
    if is_published:
        await transaction.all(QUERIES["publish_repository"], repository, at)


def _total_size(stored: StoredManifest, manifest: Manifest) -> int:
    """Bytes of an image: its manifest, configuration and layers; 0 for anything else, as GitLab has it.

    A build cache is an image whose layers are the entries of an index.
    """
    if manifest.media_type in mediatypes.INDEXES:
        entries = [ref.descriptor.size_bytes for ref in manifest.references if ref.kind is ManifestKind.EITHER]
        return len(stored.payload) + sum(entries) if entries else 0
    if manifest.media_type not in mediatypes.IMAGES or manifest.config is None:
        return 0
    references = [ref.descriptor for ref in manifest.references if ref.descriptor.digest != manifest.config.digest]
    layers = sum(descriptor.size_bytes for descriptor in (*references, *manifest.elsewhere))
    return len(stored.payload) + manifest.config.size_bytes + layers
