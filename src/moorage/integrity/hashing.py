"""Digests of what is in storage: hashed in threads, one a core, no faster than is wanted."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from moorage.oci.digests import Algorithm, Digest, Hasher
from moorage.storage.base import Reader, StorageDriver
from moorage.storage.system_calls import as_storage_error, result_of

_PIECE_BYTES = 256 << 10
"""Fits into a core's own cache, so that what was read is hashed from there."""


class HashingPace:
    """Lets so many bytes through in a second, over all threads.

    Args:
        bytes_per_s: None: as many as come.
        clock: seconds.
    """

    def __init__(self, bytes_per_s: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bytes_per_s = bytes_per_s
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = clock()

    def wait_s(self, size_bytes: int) -> float:
        """Reserve the reading of *size_bytes*, and return the seconds to wait before it."""
        if self._bytes_per_s is None:
            return 0.0
        with self._lock:
            now = self._clock()
            # Time in which nothing was read is not saved up: a rate is what the disk feels at any moment.
            at = max(self._free_at, now)
            self._free_at = at + size_bytes / self._bytes_per_s
        return at - now


class Hashing:
    """Hashes objects in *threads* threads. It reads past the page cache's order: what others read stays cached."""

    def __init__(self, storage: StorageDriver, *, threads: int, pace: HashingPace) -> None:
        self.threads = threads
        self._storage = storage
        self._pace = pace
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="hash")
        self._turns = asyncio.Semaphore(threads)
        self._stop = threading.Event()
        self._local = threading.local()

    async def digest(self, path: str, algorithm: Algorithm) -> Digest:
        """The digest of the object at *path*.

        Raises:
            PathUnknown: there is none.
            StorageUnavailable: it cannot be read to its end.
        """
        async with self._turns:
            with await self._storage.open(path) as reader:
                hasher = Hasher(algorithm)
                fd = reader.fileno()
                if fd is None:
                    await self._hash_chunks(reader, hasher)
                else:
                    try:
                        await result_of(self._pool.submit(self._hash_file, fd, hasher))
                    except OSError as exc:
                        raise as_storage_error(exc, path, must_exist=False) from exc
        return hasher.digest()

    def stop(self) -> None:
        """Have what is being hashed end soon: somebody is going to cancel it."""
        self._stop.set()

    def close(self) -> None:
        """Let go of the threads."""
        self._stop.set()
        self._pool.shutdown()

    async def _hash_chunks(self, reader: Reader, hasher: Hasher) -> None:
        async for chunk in reader.chunks():
            await asyncio.sleep(self._pace.wait_s(len(chunk)))
            await asyncio.to_thread(hasher.update, chunk)

    def _hash_file(self, fd: int, hasher: Hasher) -> None:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_NOREUSE)
        piece = self._piece()
        while not self._stop.is_set() and (size_bytes := os.preadv(fd, [piece], hasher.size_bytes)):
            wait_s = self._pace.wait_s(size_bytes)
            if wait_s > 0:
                self._stop.wait(wait_s)
            hasher.update(piece[:size_bytes])

    def _piece(self) -> memoryview:
        found: memoryview | None = getattr(self._local, "piece", None)
        if found is None:
            found = self._local.piece = memoryview(bytearray(_PIECE_BYTES))
        return found
