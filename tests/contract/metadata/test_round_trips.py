"""How much the SQL stores ask of their database. Counted, so that it does not creep up."""

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial

import pytest

from contract.metadata.databases import WatchedDatabase
from contract.metadata.pushing import ABSENT, NAME, NOBODY, push, push_blob, push_image, referrer
from contract.metadata.relay import Relay
from contract.metadata.stores import SqlStore, postgres_settings, sql_store
from moorage.notifications.events import Listener
from moorage.oci.digests import Digest
from moorage.oci.names import Tag
from moorage.sql.postgres.postgres_database import PostgresDatabase
from support.announcing import told_cause
from support.images import Image, image
from support.postgres import Postgres, migrated

LAYERS = 20
TAG = Tag("t0")

Act = Callable[[SqlStore], Awaitable[object]]


async def push_checked(store: SqlStore, made: Image, *tags: str) -> None:
    """What the service does with an image whose blobs are there: check its references, then store it."""
    digests = [Digest.parse(part.digest) for part in made.blobs]
    assert await store.links.missing(NAME, digests) == set()
    await push(store, made.manifest, *tags)


def push_in_turn(images: Sequence[Image]) -> Act:
    """Pushes the next of *images* each time."""
    left = iter(images)
    return lambda store: push_checked(store, next(left), "v1")


async def asked_for(store: SqlStore, act: Act) -> list[str]:
    """The statements that *act* takes, the second time it is done: caches are warm."""
    database = WatchedDatabase(store.database)
    watched = sql_store(database)
    await act(watched)
    database.asked.clear()
    await act(watched)
    return database.asked


ONE_STATEMENT: dict[str, Act] = {
    "manifest by tag": lambda store: store.manifests.find(NAME, TAG),
    "manifest by digest": lambda store: store.manifests.find(NAME, Digest.parse(image(0).digest)),
    "whether there is a manifest": lambda store: store.manifests.has(NAME, ABSENT),
    "which manifests are missing": lambda store: store.manifests.missing(NAME, [ABSENT, Digest.of(b"x")]),
    "whether there is a blob": lambda store: store.links.has(NAME, ABSENT),
    "which blobs are missing": lambda store: store.links.missing(NAME, [ABSENT, Digest.of(b"x")]),
    "a page of tags": lambda store: store.catalogue.tags(NAME, after="", limit=2),
    "a page of repositories": lambda store: store.catalogue.repositories(after="", limit=2),
    "a page of referrers": lambda store: store.manifests.referrers(NAME, ABSENT, artifact_type=None, after="", limit=2),
}


@pytest.mark.parametrize("what", ONE_STATEMENT)
async def test_reading_takes_one_statement(what: str, sql: SqlStore) -> None:
    for n in range(3):
        await push(sql, image(n).manifest, f"t{n}")
        await push(sql, referrer(n, ABSENT))
    # SQLite is asked first how much has to be read; that is a call inside the process, and no round trip.
    expected = 2 if what == "a page of referrers" and sql.database.dialect == "sqlite" else 1
    assert len(await asked_for(sql, ONE_STATEMENT[what])) == expected


async def test_statements_of_a_push_do_not_grow_with_its_layers(sql: SqlStore) -> None:
    counts = []
    for layers in (2, 200):
        made = [image(f"{layers}/{n}", layers=layers) for n in range(2)]
        for each in made:
            for part in each.blobs:
                await push_blob(sql, part.body)
        counts.append(len(await asked_for(sql, push_in_turn(made))))
    assert counts[0] == counts[1]


class TestOverTheWire:
    """Round trips on PostgreSQL as a relay between the two counts them: with BEGIN, COMMIT and all."""

    @pytest.fixture(params=[False, True], ids=["unprepared", "prepared"])
    async def relayed(
        self, request: pytest.FixtureRequest, postgres: Postgres
    ) -> AsyncIterator[tuple[Relay, SqlStore]]:
        settings = postgres_settings(postgres, migrated(postgres))
        async with Relay(postgres.port) as relay:
            wanted = dataclasses.replace(settings, port=relay.port, prepared_statements=request.param)
            database = await PostgresDatabase.open(wanted)
            try:
                yield relay, sql_store(database)
            finally:
                await database.close()

    async def round_trips(self, relay: Relay, act: Callable[[], Awaitable[object]]) -> int:
        before = relay.round_trips
        await act()
        return relay.round_trips - before

    async def test_a_manifest_by_tag_takes_one(self, relayed: tuple[Relay, SqlStore]) -> None:
        relay, store = relayed
        await push_image(store, image(0), "t0")
        await store.manifests.find(NAME, TAG)
        assert await self.round_trips(relay, lambda: store.manifests.find(NAME, TAG)) == 1

    async def test_a_manifest_with_twenty_layers_takes_three_at_most(self, relayed: tuple[Relay, SqlStore]) -> None:
        relay, store = relayed
        made = [image(n, layers=LAYERS) for n in range(3)]
        for each in made:
            for part in each.blobs:
                await push_blob(store, part.body)
        await push_checked(store, made[0], "v1", "latest")
        for each in made[1:]:
            count = await self.round_trips(relay, partial(push_checked, store, each, "v1", "latest"))
            assert 2 <= count <= 3

    async def test_a_blob_takes_two(self, relayed: tuple[Relay, SqlStore]) -> None:
        relay, store = relayed
        await push_blob(store, b"warm")
        assert await self.round_trips(relay, lambda: push_blob(store, b"cold")) <= 2

    async def test_being_told_of_a_push_takes_no_more(self, relayed: tuple[Relay, SqlStore]) -> None:
        relay, store = relayed
        causes = (NOBODY, told_cause(Listener(name="first"), Listener(name="second")))
        counts = []
        for number, cause in enumerate(causes * 2):  # The first of each kind may have to be prepared.
            content = f"blob {number}".encode()
            digest, expectation = Digest.of(content), await store.links.expect(Digest.of(content))
            link = partial(store.links.link, NAME, digest, expectation, size_bytes=len(content), cause=cause)
            put = partial(push, store, image(number).manifest, "v1", cause=cause)
            counts.append((await self.round_trips(relay, link), await self.round_trips(relay, put)))
        assert counts[2] == counts[3]
        assert len(await store.rows("SELECT id FROM notification_queue")) == 8

    async def test_a_deletion_takes_few_whatever_the_tags(self, relayed: tuple[Relay, SqlStore]) -> None:
        relay, store = relayed
        counts = []
        for n in range(2):
            await push(store, image(n).manifest, *(f"{n}.{m}" for m in range(1 + 200 * n)))
        for n in range(2):
            digest = Digest.parse(image(n).digest)
            counts.append(await self.round_trips(relay, partial(store.manifests.delete, NAME, digest, cause=NOBODY)))
        assert counts[1] <= max(counts[0], 8)
