"""A storage in memory that can do no more than an object store of S3's kind: nothing is renamed or locked.

Keys are flat and in byte order; a list gives a page of them after a key, with what has a ``/`` behind the prefix
folded together. A folder is removed object by object, and others come between any two requests.
"""

import asyncio
import bisect
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from moorage.errors import BackendError, PathUnknown, StorageFull, StorageUnavailable
from moorage.storage.base import (
    Capability,
    FolderEntry,
    ObjectContent,
    PartsWriter,
    Reader,
    Stat,
    StorageDriver,
    check_path,
    clock,
    is_name,
    too_late,
    whole,
)

_PIECE_BYTES = 1 << 20
_NAME_BYTES = 255
_LIST_PAGE = 1000
_BATCH = 1000
_PARTS_AT_ONCE = 2


class Killed(BaseException):
    """The process is gone. No error of its own: nothing may catch it and go on."""


class Bucket(StorageDriver):
    """Objects under flat keys.

    Args:
        limit_bytes: how much there is room for; None: whatever the machine has.
        now: the store's own clock.
    """

    name = "bucket"
    capabilities = frozenset(
        {
            Capability.SHARED,
            Capability.CONDITIONAL_PUT,
            Capability.CONDITIONAL_DELETE,
            Capability.FLAT_LISTS,
            Capability.PARTS,
        }
    )
    chunk_min_bytes = 5 << 20
    part_min_bytes = 0
    """The least that every part but the last has; less is refused."""

    def __init__(
        self,
        *,
        limit_bytes: int | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.requests: list[str] = []
        self.parts: dict[str, BucketParts] = {}
        """The objects that are being written in parts, by their notes."""
        self.dies_at: int | None = None
        """The number of the request from which on nothing is done, as the process that asks is killed."""
        self.refuses: tuple[int, BackendError] | None = None
        """The number of a request that is refused once, and why."""
        self.rounds = 0
        """How often somebody had to wait for an answer; requests that were sent together count once."""
        self.largest_page = 0
        """The most names that one list has had in memory."""
        self._limit_bytes = limit_bytes
        self._now = now
        self._objects: dict[str, tuple[bytes, datetime]] = {}
        self._keys: list[str] = []
        self._versions: dict[str, str] = {}
        self._numbers = itertools.count()
        self._under_way = 0

    async def stat(self, path: str, *, folder: bool = True) -> Stat:
        await self.request("stat", path)
        if path in self._objects:
            content, modified_at = self._objects[path]
            return Stat(len(content), modified_at, version=self._versions[path])
        key = None
        if folder:  # Nothing but a list tells.
            await self.request("list", path)
            key = self._first_after(f"{path}/")
        if key is None:
            raise PathUnknown(path)
        return Stat(0, self._objects[key][1], is_folder=True)

    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        await self.request("get", path)
        content = self._content(path)
        if len(content) > limit_bytes:
            msg = f"{path}: more than {limit_bytes} bytes"
            raise StorageUnavailable(msg)
        return content

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        del durable  # What is acknowledged is.
        await self.request("put", path)
        self.store(path, whole(content))

    async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
        await self.request("put_if_absent", path)
        if path in self._objects:
            return False
        self.store(path, whole(content))
        return True

    async def open(self, path: str, *, is_whole: bool = True) -> Reader:
        await self.request("open" if is_whole else "open_parts", path)
        return _Body(self._content(path))

    async def list(self, path: str, *, after: str = "", limit: int | None = None) -> list[FolderEntry]:
        await self.request("list", path)
        prefix = f"{path}/"
        if self._first_after(prefix) is None:
            raise PathUnknown(path)
        found: dict[str, bool] = {}
        last = ""
        for key in self._folded(prefix, after):
            if limit is not None and len(found) >= limit:
                break
            last, name = key, key.removeprefix(prefix).rstrip("/")
            if name > after and is_name(name):
                found[name] = key.endswith("/")
        if limit is not None:
            # A folder stands in the order of keys by its name with a slash, so behind names that only go on with "-".
            for name in self._ahead(found, after):
                key = f"{prefix}{name}/"
                if key > last and self._first_after(key) is not None:
                    found[name] = True
        self.largest_page = max(self.largest_page, len(found))
        return [self._entry(path, name, is_folder=found[name]) for name in sorted(found)[:limit]]

    async def all_below(self, path: str) -> AsyncIterator[Sequence[tuple[str, Stat]]]:
        keys = self._below(f"{path}/")
        for start in range(0, max(len(keys), 1), _LIST_PAGE):
            await self.request("list", path)
            yield [(key, Stat(len(self._objects[key][0]), self._objects[key][1])) for key in keys[start:][:_LIST_PAGE]]

    async def delete(self, path: str, *, durable: bool = True) -> None:
        del durable
        await self.request("delete", path)
        if self._remove(path):
            return
        keys = self._below(f"{path}/")
        if not keys:
            raise PathUnknown(path)
        gone = 0
        for key in sorted(keys, key=lambda key: not key.endswith("/current/link")):
            gone += self._remove(key)
            await asyncio.sleep(0)
        if not gone:
            raise PathUnknown(path)

    async def stat_each(self, paths: Sequence[str], *, folder: bool = False) -> Sequence[Stat | None]:
        """See the interface. All at once."""

        async def stat(path: str) -> Stat | None:
            try:
                return await self.stat(path, folder=folder)
            except PathUnknown:
                return None

        return await asyncio.gather(*(stat(path) for path in paths))

    async def remove(self, paths: Sequence[str], *, until: float, rest: float = 0.0) -> Mapping[str, BackendError]:
        """See the interface. One request for a thousand."""
        del rest
        failures: dict[str, BackendError] = {}
        for batch in (paths[at : at + _BATCH] for at in range(0, len(paths), _BATCH)):
            if clock() >= until:
                failures |= {path: too_late(path) for path in batch}
                continue
            await self.request("remove", batch[0])
            for path in batch:
                check_path(path)
                self._remove(path)
        return failures

    async def delete_if_same(self, path: str, seen: Stat) -> bool:
        await self.request("delete_if_same", path)
        return path in self._objects and self._versions[path] == seen.version and self._remove(path)

    async def begin_parts(self, path: str) -> "BucketParts":
        await self.request("begin_parts", path)
        note = f"note-{next(self._numbers)}"
        self.parts[note] = BucketParts(self, path, note)
        return self.parts[note]

    async def abort_parts(self, path: str, note: str) -> None:
        await self.request("abort_parts", path)
        self.parts.pop(note, None)

    async def copy(self, sources: Sequence[str], target: str, *, sizes: Sequence[int] = ()) -> None:
        await self.request("copy", target)
        contents = []
        for source in sources:
            check_path(source)
            contents.append(self._content(source))
            await asyncio.sleep(0)
        assert not sizes or list(sizes) == list(map(len, contents)), "whoever says sizes knows them"
        self.store(target, b"".join(contents))

    async def probe(self) -> None:
        await self.request("probe", "/probe")

    def content_of(self, key: str) -> bytes:
        """Give what is under a key, without a request."""
        return self._content(key)

    def all_keys(self) -> Sequence[str]:
        """Give all keys, in their order."""
        return tuple(self._keys)

    def _entry(self, path: str, name: str, *, is_folder: bool) -> FolderEntry:
        return FolderEntry(name, is_folder, None if is_folder else len(self._objects[f"{path}/{name}"][0]))

    async def request(self, what: str, path: str) -> None:
        if self.dies_at is not None and len(self.requests) >= self.dies_at:
            raise Killed
        self.requests.append(f"{what} {check_path(path)}")
        if self.refuses is not None and len(self.requests) > self.refuses[0]:
            (_, error), self.refuses = self.refuses, None
            raise error
        if not self._under_way:
            self.rounds += 1
        self._under_way += 1
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        finally:
            self._under_way -= 1

    def store(self, path: str, content: bytes) -> None:
        used = sum(len(content) for key, (content, _) in self._objects.items() if key != path)
        if self._limit_bytes is not None and used + len(content) > self._limit_bytes:
            msg = f"more than {self._limit_bytes} bytes"
            raise StorageFull(msg)
        if max(map(len, path.split("/"))) > _NAME_BYTES:
            msg = f"{path}: a key is too long"
            raise StorageUnavailable(msg)
        if path not in self._objects:
            bisect.insort(self._keys, path)
        self._objects[path] = bytes(content), self._now()
        self._versions[path] = f"version-{next(self._numbers)}"

    def _content(self, path: str) -> bytes:
        try:
            return self._objects[path][0]
        except KeyError:
            raise PathUnknown(path) from None

    def _remove(self, key: str) -> bool:
        if self._objects.pop(key, None) is None:
            return False
        del self._keys[bisect.bisect_left(self._keys, key)]
        return True

    def _first_after(self, prefix: str) -> str | None:
        at = bisect.bisect_left(self._keys, prefix)
        return self._keys[at] if at < len(self._keys) and self._keys[at].startswith(prefix) else None

    def _below(self, prefix: str) -> Sequence[str]:
        at = bisect.bisect_left(self._keys, prefix)
        end = at
        while end < len(self._keys) and self._keys[end].startswith(prefix):
            end += 1
        return self._keys[at:end]

    def _folded(self, prefix: str, after: str) -> Iterator[str]:
        """The keys below *prefix* in their order; those with a slash only up to it, once each."""
        at = bisect.bisect_right(self._keys, prefix + after)
        while at < len(self._keys) and self._keys[at].startswith(prefix):
            name, slash, _ = self._keys[at].removeprefix(prefix).partition("/")
            yield prefix + name + slash
            at = bisect.bisect_left(self._keys, f"{prefix}{name}0") if slash else at + 1

    def _ahead(self, found: dict[str, bool], after: str) -> set[str]:
        """The names that may come before some of *found* and stand behind them in the order of keys."""
        wanted = {name[:at] for name in found for at in range(1, len(name)) if name[at] < "/"}
        return {name for name in wanted if name > after and name not in found}


class BucketParts(PartsWriter):
    """An object in parts. Each part is sent beside the next, up to two at once."""

    def __init__(self, bucket: Bucket, path: str, note: str) -> None:
        self.note = note
        self.path = path
        self._bucket = bucket
        self._parts: list[bytes] = []
        self._sending: list[asyncio.Task[None]] = []

    async def add(self, part: Sequence[bytes]) -> None:
        while len(self._sending) >= _PARTS_AT_ONCE:
            await self._sending.pop(0)
        self._parts.append(b"")
        self._sending.append(asyncio.ensure_future(self._send(len(self._parts) - 1, part)))

    @property
    def has_any(self) -> bool:
        """Whether a part of it is in the store."""
        return any(self._parts)

    async def settle(self) -> None:
        while self._sending:
            await self._sending.pop(0)

    async def complete(self) -> None:
        await self.settle()
        await self._bucket.request("complete_parts", self.path)
        if any(len(part) < self._bucket.part_min_bytes for part in self._parts[:-1]):
            msg = f"{self.path}: a part is too small"
            raise StorageUnavailable(msg)
        if self._bucket.parts.pop(self.note, None) is None:
            msg = f"{self.path}: no such upload in parts"
            raise StorageUnavailable(msg)
        self._bucket.store(self.path, b"".join(self._parts))

    async def abort(self) -> None:
        with contextlib.suppress(BackendError):
            await self.settle()
        if self.note in self._bucket.parts:
            await self._bucket.abort_parts(self.path, self.note)

    async def _send(self, number: int, part: Sequence[bytes]) -> None:
        await self._bucket.request("add_part", self.path)
        self._parts[number] = b"".join(part)


class _Body(Reader):
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size_bytes = len(content)

    def fileno(self) -> None:
        """There is none."""

    async def chunks(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        end = self.size_bytes if end is None else min(end, self.size_bytes)
        for at in range(start, end, _PIECE_BYTES):
            await asyncio.sleep(0)
            yield self._content[at : min(at + _PIECE_BYTES, end)]

    def close(self) -> None:
        self._content = b""
