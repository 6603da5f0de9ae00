"""A walk through the blobs in storage, in the order of their digests."""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from moorage.errors import BackendError, PathUnknown
from moorage.oci.digests import ALGORITHMS, Digest
from moorage.storage import paths
from moorage.storage.base import FolderEntry, Stat, StorageDriver
from moorage.storage.walk import Place, digest_at, entries_of, pages_of, path_at, place_of

_PREFIX = re.compile(r"[0-9a-f]{2}")
_SHARE_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that lie where blobs do."""

    digest: Digest
    stat: Stat

    @property
    def place(self) -> Place:
        """See :data:`Place`."""
        return place_of(self.digest)


@dataclass(frozen=True, slots=True)
class Foreign:
    """A file or folder among the blobs that is none."""

    place: Place


@dataclass(frozen=True, slots=True)
class UnreadablePlace:
    """A folder whose names, or a blob whose size, storage does not tell."""

    place: Place
    reason: str
    digest: Digest | None = None


def is_prefix(name: str) -> bool:
    """Return whether a folder of an algorithm has blobs in it by its name."""
    return _PREFIX.fullmatch(name) is not None


def share_of(place: Place) -> float:
    """Return the share of all digests that come before a place: they are spread evenly, and nearly all are SHA-256."""
    if place[0] != "sha256":
        return 1.0
    try:
        return float(int(place[-1][:_SHARE_DIGITS], 16) / 16 ** len(place[-1][:_SHARE_DIGITS]))
    except ValueError:
        return 0.0


async def stored_blobs(
    storage: StorageDriver, *, after: Place = ()
) -> AsyncGenerator[Stored | Foreign | UnreadablePlace, None]:
    """Everything that lies among the blobs and comes after *after*. Memory grows with nothing but a page of names.

    Raises:
        PathUnknown: there is no folder of blobs.
    """
    for entry in await storage.list(paths.BLOBS):
        place = (entry.name,)
        if entry.is_folder and entry.name in ALGORITHMS:
            if place >= after[:1]:
                async for found in _of_algorithm(storage, entry.name, after):
                    yield found
        elif place > after:
            yield Foreign(place)


async def stat_of(storage: StorageDriver, digest: Digest) -> Stat | None:
    """Size and time of a blob's bytes; None if there are none.

    Raises:
        StorageUnavailable: that cannot be found out.
    """
    try:
        found = await storage.stat(paths.blob(digest), folder=False)
    except PathUnknown:
        return None
    return None if found.is_folder else found


async def _of_algorithm(
    storage: StorageDriver, algorithm: str, after: Place
) -> AsyncGenerator[Stored | Foreign | UnreadablePlace, None]:
    try:
        entries = [entry async for entry in entries_of(storage, path_at((algorithm,)))]
    except BackendError as exc:
        yield UnreadablePlace((algorithm,), str(exc))
        return
    for entry in entries:
        place = (algorithm, entry.name)
        if entry.is_folder and is_prefix(entry.name):
            if place >= after[:2]:
                async for found in _of_prefix(storage, place, after):
                    yield found
        elif place > after:
            yield Foreign(place)


async def _of_prefix(
    storage: StorageDriver, folder: Place, after: Place
) -> AsyncGenerator[Stored | Foreign | UnreadablePlace, None]:
    last = after[2] if after[:2] == folder and len(after) > len(folder) else ""
    try:
        async for entries in pages_of(storage, path_at(folder), after=last):
            for entry in entries:
                found = await _blob(storage, (*folder, entry.name), entry)
                if found is not None:
                    yield found
    except BackendError as exc:
        yield UnreadablePlace(folder, str(exc))


async def _blob(storage: StorageDriver, place: Place, entry: FolderEntry) -> Stored | Foreign | UnreadablePlace | None:
    digest = digest_at(place)
    if not entry.is_folder or digest is None:
        return Foreign(place)
    try:
        stat = await stat_of(storage, digest)
    except BackendError as exc:
        return UnreadablePlace(place, str(exc), digest)
    # An empty folder is what is left of a blob: nothing that anybody could be served.
    return None if stat is None else Stored(digest, stat)
