"""Reviews of manifests: what waits for its time, and two collectors at once."""

import asyncio

import pytest

from contract.metadata.passing import DELAY, pass_
from contract.metadata.pushing import NAME, push
from contract.metadata.stores import SqlStore, query
from moorage.errors import ManifestUnknown
from moorage.metadata.sql.reviews import SqlManifestReviews
from support.images import artifact, config, image_manifest


@pytest.mark.parametrize("open_sql", ["postgres"], indirect=True)  # SQLite has one writer.
async def test_a_subject_whose_referrer_another_collector_drops_is_left_for_the_next_time(
    sql: SqlStore, other_sql: SqlStore
) -> None:
    """The referrer would be looked at when its subject goes; by then there is none."""
    made = image_manifest(config("x"), [])
    subject = await push(sql, made)
    await push(sql, artifact("signature", made, artifact_type="application/x").manifest)
    await sql.database.write(query("UPDATE manifests SET deleted_at = created_at WHERE subject_digest IS NOT NULL"))
    await pass_(sql, DELAY)
    async with other_sql.database.transaction() as session:
        await session.all(query("DELETE FROM manifests WHERE subject_digest IS NOT NULL RETURNING id"))
        going = asyncio.create_task(SqlManifestReviews(sql.database).review(limit=10))
        # It gives up after half a second: if the machine is so slow that this is over, nothing is dropped either.
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
        while not going.done() and not await other_sql.rows(waiting):  # noqa: ASYNC110 - it is the database that waits
            await asyncio.sleep(0.01)
    assert not (await going).dropped
    dropped = (await SqlManifestReviews(sql.database).review(limit=10)).dropped
    assert [each.digest for each in dropped] == [subject]


async def test_a_promised_manifest_is_put_off(sql: SqlStore) -> None:
    digest = await push(sql, image_manifest(config("x"), []))
    await pass_(sql, DELAY * 0.6)
    await sql.manifests.promise(NAME, digest)
    await pass_(sql, DELAY * 0.9)
    assert (await SqlManifestReviews(sql.database).review(limit=10)).due == 0
    await pass_(sql, DELAY)
    assert [each.digest for each in (await SqlManifestReviews(sql.database).review(limit=10)).dropped] == [digest]
    with pytest.raises(ManifestUnknown):
        await sql.manifests.promise(NAME, digest)
