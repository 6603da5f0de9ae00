"""Counts of rows, for metrics."""

import sqlite3
from contextlib import closing

from contract.metadata_collection.aging import Aging
from moorage.metadata.schema.chains import CHAINS, bookkeeping
from moorage.metadata.sql.rows import SqlRowCounts
from moorage.sql.sqlite.sqlite_database import SqliteDatabase


async def test_queues_and_migrations_are_counted_under_gitlabs_names(aging: Aging) -> None:
    await aging.push("a", "1")
    await aging.all_due("blob")
    applied = len(CHAINS.pre.migrations)
    if isinstance(aging.store.database, SqliteDatabase):  # These tests' file has no notes of its migrations.
        applied = 0
        with closing(sqlite3.connect(aging.store.database.path)) as connection:
            connection.executescript(bookkeeping("sqlite"))
    assert await SqlRowCounts(aging.store.database).count() == {
        "gc_blob_review_queue": 3,
        "gc_blob_review_queue_overdue": 3,
        "gc_manifest_review_queue": 1,
        "gc_manifest_review_queue_overdue": 0,
        "applied_pre_migrations": applied,
        "applied_post_migrations": 0,
    }
