"""A storage in memory that can do no more than an object store of S3's kind: nothing is renamed or locked.

Keys are flat and in byte order; a list gives a page of them after a key, with what has a ``/`` behind the prefix
folded together. A folder is removed object by object, and others come between any two requests.
"""

import asyncio
import bisect
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime

from moorage.errors import PathUnknown, StorageFull, StorageUnavailable
from moorage.storage.base import (
    Capability,
    FolderEntry,
    ObjectContent,
    Reader,
    Stat,
    StorageDriver,
    check_path,
    is_name,
    whole,
)

_PIECE_BYTES = 1 << 20
_NAME_BYTES = 255


class Bucket(StorageDriver):
    """Objects under flat keys.

    Args:
        limit_bytes: how much there is room for; None: whatever the machine has.
        now: the store's own clock.
    """

    name = "bucket"
    capabilities = frozenset({Capability.SHARED, Capability.CONDITIONAL_PUT})

    def __init__(
        self,
        *,
        limit_bytes: int | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.requests: list[str] = []
        self.largest_page = 0
        """The most names that one list has had in memory."""
        self._limit_bytes = limit_bytes
        self._now = now
        self._objects: dict[str, tuple[bytes, datetime]] = {}
        self._keys: list[str] = []

    async def stat(self, path: str, *, folder: bool = True) -> Stat:
        await self._request("stat", path)
        if path in self._objects:
            content, modified_at = self._objects[path]
            return Stat(len(content), modified_at)
        key = None
        if folder:  # Nothing but a list tells.
            await self._request("list", path)
            key = self._first_after(f"{path}/")
        if key is None:
            raise PathUnknown(path)
        return Stat(0, self._objects[key][1], is_folder=True)

    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        await self._request("get", path)
        content = self._content(path)
        if len(content) > limit_bytes:
            msg = f"{path}: more than {limit_bytes} bytes"
            raise StorageUnavailable(msg)
        return content

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        del durable  # What is acknowledged is.
        await self._request("put", path)
        self._store(path, whole(content))

    async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
        await self._request("put_if_absent", path)
        if path in self._objects:
            return False
        self._store(path, whole(content))
        return True

    async def open(self, path: str) -> Reader:
        await self._request("open", path)
        return _Body(self._content(path))

    async def list(self, path: str, *, after: str = "", limit: int | None = None) -> list[FolderEntry]:
        await self._request("list", path)
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

    async def delete(self, path: str, *, durable: bool = True) -> None:
        del durable
        await self._request("delete", path)
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

    async def copy(self, sources: Sequence[str], target: str) -> None:
        await self._request("copy", target)
        contents = []
        for source in sources:
            check_path(source)
            contents.append(self._content(source))
            await asyncio.sleep(0)
        self._store(target, b"".join(contents))

    async def probe(self) -> None:
        await self._request("probe", "/probe")

    def all_keys(self) -> Sequence[str]:
        """Give all keys, in their order."""
        return tuple(self._keys)

    def _entry(self, path: str, name: str, *, is_folder: bool) -> FolderEntry:
        return FolderEntry(name, is_folder, None if is_folder else len(self._objects[f"{path}/{name}"][0]))

    async def _request(self, what: str, path: str) -> None:
        self.requests.append(f"{what} {check_path(path)}")
        await asyncio.sleep(0)

    def _store(self, path: str, content: bytes) -> None:
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
