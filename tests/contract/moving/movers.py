"""Link files and a database beside each other, and a look at all that a database says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from contract.metadata.pushing import NAME
from contract.metadata.stores import SqlStore, Store
from moorage.metadata.sql.digest_keys import digest_of
from moorage.metadata.sql.import_records import SqlImportRecords
from moorage.metadata.sql.imports import SqlImports
from moorage.moving.dry_run import NothingTaken
from moorage.moving.importing import ALL_STEPS, Import, ImportOptions, Step
from moorage.moving.outcome import Outcome, Teller
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.work.reports import WorkReports

ANY_AGE = timedelta(hours=72)

_EVERYTHING = {
    "manifests": """
        SELECT r.path, m.digest, m.media_type, m.artifact_type, m.size, m.total_size, b.digest, m.config_media_type,
            m.subject_digest, m.annotations, m.annotations_size, m.payload
        FROM manifests m JOIN repositories r ON r.id = m.repository_id LEFT JOIN blobs b ON b.id = m.config_blob_id
        WHERE m.deleted_at IS NULL ORDER BY r.path, m.digest
    """,
    "layers": """
        SELECT r.path, m.digest, b.digest FROM layers l JOIN manifests m ON m.id = l.manifest_id
        JOIN repositories r ON r.id = m.repository_id JOIN blobs b ON b.id = l.blob_id
        WHERE m.deleted_at IS NULL ORDER BY r.path, m.digest, b.digest
    """,
    "references": """
        SELECT p.digest, c.digest FROM manifest_references f JOIN manifests p ON p.id = f.parent_id
        JOIN manifests c ON c.id = f.child_id WHERE p.deleted_at IS NULL ORDER BY p.digest, c.digest
    """,
    "awaited": """
        SELECT s.digest, m.digest FROM sparse_references s JOIN manifests m ON m.id = s.manifest_id
        WHERE m.deleted_at IS NULL ORDER BY s.digest, m.digest
    """,
    "tags": """
        SELECT r.path, t.name, m.digest FROM tags t JOIN repositories r ON r.id = t.repository_id
        JOIN manifests m ON m.id = t.manifest_id ORDER BY r.path, t.name
    """,
    "links": """
        SELECT r.path, b.digest, b.size FROM repository_blobs l JOIN repositories r ON r.id = l.repository_id
        JOIN blobs b ON b.id = l.blob_id WHERE l.deleted_at IS NULL ORDER BY r.path, b.digest
    """,
    "catalogue": "SELECT path FROM repositories WHERE populated_at IS NOT NULL ORDER BY path",
}


async def everything(sql: SqlStore) -> dict[str, list[tuple[object, ...]]]:
    """All that a database says of what there is, without its own numbers and moments."""
    return {
        what: [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in await sql.rows(text)]
        for what, text in _EVERYTHING.items()
    }


async def reviewed(sql: SqlStore) -> set[Digest]:
    """The bytes that garbage collection is going to look at."""
    rows = await sql.rows("SELECT digest FROM gc_blob_review_queue")
    return {digest_of(bytes(row[0])) for row in rows}


@dataclass
class Mover:
    """Both, and runs of an import between them."""

    links: Store
    sql: SqlStore
    pushed: SqlStore
    """Another database, to push to what is moved into the first one."""
    done: list[str] = field(default_factory=list)
    """The repositories that were taken over, in their order."""

    def work(
        self,
        *steps: Step,
        dry_run: bool = False,
        skip_recent: timedelta = ANY_AGE,
        database: SqlImports | None = None,
    ) -> tuple[Import, Teller]:
        """An import that has not begun; its steps are all without any."""
        teller = Teller(WorkReports(), done=self.done.append)
        into = database or SqlImports(self.sql.database)
        options = ImportOptions(
            steps=steps or ALL_STEPS,
            dry_run=dry_run,
            skip_recent=skip_recent,
            database="a database",
            storage_driver="filesystem",
        )
        records = SqlImportRecords(self.sql.database)
        target = NothingTaken(has_tags=False) if dry_run else into
        return Import(self.links.storage, target, options, teller, records=records), teller

    async def run(self, *steps: Step, dry_run: bool = False, skip_recent: timedelta = ANY_AGE) -> Outcome:
        """Import, to the end."""
        work, teller = self.work(*steps, dry_run=dry_run, skip_recent=skip_recent)
        await work.run()
        return teller.outcome

    async def tags(self, name: RepositoryName = NAME) -> dict[str, Digest]:
        """The tags that the database has, and what they point to."""
        page = await self.sql.catalogue.tags(name, after="", limit=None)
        return {tag.text: (await self.sql.manifests.find(name, Tag(tag.text))).digest for tag in page.items}


def kinds(outcome: Outcome) -> Sequence[tuple[str, str]]:
    """What was left out, by its kind and the end of its path."""
    return [(found.kind.value, found.path.rpartition("/repositories/")[2]) for found in outcome.left_out.first]


async def link_files(store: Store) -> dict[str, bytes]:
    """Every object that a registry without a database reads, but the bytes of blobs."""
    found: dict[str, bytes] = {}

    async def walk(folder: str) -> None:
        for entry in await store.storage.list(folder):
            path = f"{folder}/{entry.name}"
            if entry.is_folder:
                await walk(path)
            else:
                found[path] = await store.storage.get(path)

    await walk(paths.REPOSITORIES)
    return found
