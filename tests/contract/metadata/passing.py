"""Time passes in a database: reviews come nearer, and claims end."""

from datetime import timedelta

from contract.metadata.stores import SqlStore, query
from moorage.sql.base import Database

DELAY = timedelta(hours=24)
"""The delay of reviews, unless a test sets another."""


async def pass_(store: SqlStore, by: timedelta, *tables: str) -> None:
    """As if everything had been done so much earlier."""
    await pass_in(store.database, by, *tables)


async def pass_in(database: Database, by: timedelta, *tables: str) -> None:
    """As :func:`pass_`, for a database alone."""
    amount = by // timedelta(microseconds=1)
    step = "$1" if database.dialect == "sqlite" else "$1 * interval '1 microsecond'"
    for table in tables or ("gc_blob_review_queue", "gc_manifest_review_queue"):
        text = f"UPDATE {table} SET review_after = review_after - {step}"  # noqa: S608 - our tables
        await database.write(query(text), amount)
    if not tables:
        claims = f"UPDATE gc_blob_review_queue SET claimed_until = claimed_until - {step}"  # noqa: S608 - as above
        await database.write(query(claims), amount)
