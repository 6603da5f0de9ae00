"""What a client does next: a random choice, weighted, of what clients do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from moorage.errors import ReferencesUnknown
from moorage.oci.names import RepositoryName, Tag
from property.collection.clients import REFUSALS, Client
from property.collection.gates import Scheduler
from property.collection.world import BLOBS, IMAGES, INDEXES, REFERRERS, REPOSITORIES, SPARSE, Item, blob_digest

WEIGHTS: Final[Mapping[str, int]] = {
    "push_image": 10,
    "push_index": 8,
    "push_referrer": 6,
    "push_sparse": 5,
    "push_late": 4,
    "push_blob": 3,
    "head_blob": 2,
    "mount": 3,
    "retag": 3,
    "untag": 8,
    "delete_tags": 5,
    "delete_manifest": 3,
    "delete_blob": 2,
    "undo_tag": 3,
    "undo_request": 4,
    "look": 3,
}
_RETRIES = 3
_LATE = 20

T = TypeVar("T")


@dataclass
class Habits:
    """One client's life. *weights* may change while it lives."""

    client: Client
    scheduler: Scheduler
    weights: Mapping[str, int]

    async def live(self) -> None:
        """Do one thing after the other, until the process is killed."""
        while True:
            await self.scheduler.gate("idle")
            await self.act()

    async def act(self) -> None:
        """Do one thing; being refused is a part of life."""
        (what,) = self.client.actor.rng.choices(list(self.weights), list(self.weights.values()))
        self.scheduler.note(self.client.actor.name, f"begins {what}")
        outcome = "done"
        try:
            await getattr(self, what)()
        except REFUSALS as exc:
            outcome = f"{type(exc).__name__}: {exc}"
        self.scheduler.note(self.client.actor.name, f"ends {what}: {outcome}")

    async def push_image(self) -> None:
        await self._push(self._repository(), self._one(IMAGES), self._tags())

    async def push_index(self) -> None:
        await self._push(self._repository(), self._one(INDEXES), self._tags())

    async def push_referrer(self) -> None:
        await self._push(self._repository(), self._one(REFERRERS), self._tags() if self._chance(0.2) else [])

    async def push_sparse(self) -> None:
        await self.client.put(SPARSE, self._one((*IMAGES, *INDEXES, *REFERRERS)), self._tags())

    async def push_late(self) -> None:
        """Bring what is not there, then do something else for so long that it may be gone when the manifest comes."""
        name, item = self._repository(), self._one(IMAGES)
        for content in item.blobs:
            if not await self.client.has_blob(name, blob_digest(content)):
                await self.client.push_blob(name, content, in_chunks=False)
        for _ in range(self.client.actor.rng.randrange(_LATE)):
            await self.scheduler.gate("waits")
        await self.client.put(name, item, self._tags())

    async def push_blob(self) -> None:
        await self.client.push_blob(self._repository(), self._one(BLOBS), in_chunks=self._chance(0.4))

    async def head_blob(self) -> None:
        await self.client.has_blob(self._repository(), blob_digest(self._one(BLOBS)))

    async def mount(self) -> None:
        source = self._repository() if self._chance(0.6) else None
        await self.client.mount(self._repository(), blob_digest(self._one(BLOBS)), source)

    async def retag(self) -> None:
        """Push a manifest that may be there, without a look at what it names."""
        await self.client.put(self._repository(), self._one((*IMAGES, *INDEXES)), self._tags() or [self._tag()])

    async def untag(self) -> None:
        await self.client.untag(self._repository(), self._tag())

    async def delete_tags(self) -> None:
        await self.client.delete_tags(self._repository(), [self._tag(number) for number in range(2)])

    async def delete_manifest(self) -> None:
        await self.client.delete_manifest(self._repository(), self._one((*IMAGES, *INDEXES, *REFERRERS)))

    async def delete_blob(self) -> None:
        await self.client.delete_blob(self._repository(), blob_digest(self._one(BLOBS)))

    async def undo_tag(self) -> None:
        await self.client.undo_tag(self._repository(), self._tag())

    async def undo_request(self) -> None:
        if self.client.requests:
            await self.client.undo_request(self._one(list(self.client.requests)[-6:]))

    async def look(self) -> None:
        await self.client.look(self._repository(), self._tag())

    async def _push(self, name: RepositoryName, item: Item, tags: list[Tag]) -> None:
        """Push as clients do: ask for what it needs by HEAD, bring what is not there, then the manifest."""
        for child in item.children:
            if not await self.client.has_manifest(name, child):
                await self._push(name, child, [])
        for content in item.blobs:
            digest = blob_digest(content)
            if await self.client.has_blob(name, digest):
                continue
            if self._chance(0.3) and await self.client.mount(name, digest, self._one([None, *REPOSITORIES])):
                continue
            await self.client.push_blob(name, content, in_chunks=self._chance(0.3))
        for attempt in range(_RETRIES):
            try:
                await self.client.put(name, item, tags)
            except ReferencesUnknown:
                # Somebody took out by name what was there: clients give up. One that does not, finds the next race.
                if attempt or self._chance(0.5):
                    raise
            else:
                return

    def _one(self, choice: Sequence[T]) -> T:
        return self.client.actor.rng.choice(choice)

    def _chance(self, share: float) -> bool:
        return self.client.actor.rng.random() < share

    def _repository(self) -> RepositoryName:
        return self.client.actor.rng.choice(REPOSITORIES)

    def _tag(self, number: int | None = None) -> Tag:
        """One of its own tags."""
        return Tag(f"{self.client.actor.name}-{self.client.actor.rng.randrange(2) if number is None else number}")

    def _tags(self) -> list[Tag]:
        count = self.client.actor.rng.choice([0, 1, 1, 2])
        return [self._tag(number) for number in range(count)] if count == 2 else [self._tag()][:count]
