"""Texts of migrations that databases may have had: they never change, as nobody applies one twice."""

import hashlib

from moorage.metadata.schema.chains import CHAINS

_DIGESTS = {
    "0001_initial.sqlite": "f2e0651069945208",
    "0001_initial.postgres": "b3d4e280fa734ff3",
    "0002_background_migrations.sqlite": "33051875f1791370",
    "0002_background_migrations.postgres": "3da6df2ead7e6971",
    "0003_online_garbage_collection.sqlite": "dba4b24c77cbe55e",
    "0003_online_garbage_collection.postgres": "387019a12dffa418",
    "0004_collection_progress.sqlite": "3856008344179357",
    "0004_collection_progress.postgres": "938ec8dbdb7049cf",
    "0005_sizes_of_annotations.sqlite": "91c20af15f27d7d4",
    "0005_sizes_of_annotations.postgres": "de84614285748b20",
    "0006_notifications.sqlite": "449674b24a7ed671",
    "0006_notifications.postgres": "48a8a744e29849f9",
    "0007_adoptions.sqlite": "0dcec5c210bdd9ce",
    "0007_adoptions.postgres": "6953295fdfe96839",
    "0008_large_repositories.sqlite": "37a2d771d09957da",
    "0008_large_repositories.postgres": "88099dbf7cfd83a7",
    "0009_placed_blobs.sqlite": "0643308c43bcd3e1",
    "0009_placed_blobs.postgres": "92b2f0d43b82bcc3",
    "0010_very_many_notices.sqlite": "de4d69ff5fd72496",
    "0010_very_many_notices.postgres": "de4d69ff5fd72496",
    "0011_import_statistics.sqlite": "5382ba23f1d3f692",
    "0011_import_statistics.postgres": "8b992f35bafba2ef",
}
"""The beginning of each text's SHA-256. A new migration is added here with the next one, or with a release."""


def test_a_migration_that_was_applied_somewhere_is_not_changed() -> None:
    texts = {
        f"{step.migration.name}.{dialect}": CHAINS.of(step.phase).script(step.migration, dialect, "up")
        for step in CHAINS.steps()
        for dialect in ("sqlite", "postgres")
    }
    found = {name: hashlib.sha256((texts.get(name) or "").encode()).hexdigest()[:16] for name in _DIGESTS}
    assert found == _DIGESTS, "add a migration: a restore, too, makes the tables of a backup by these texts"
