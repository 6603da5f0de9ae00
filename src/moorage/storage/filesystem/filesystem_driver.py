"""Objects as files in a folder. Here is what reaches the disk when; what lies where stands in ``paths.py``.

The system calls get strings, not :class:`~pathlib.Path`: building one costs more than most of the calls.
"""
# ruff: noqa: PTH104, PTH108 - see above: system calls on strings are the hot path here

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from moorage.errors import BackendError, PathUnknown, StorageUnavailable
from moorage.storage.base import (
    Capability,
    FolderEntry,
    ObjectContent,
    Reader,
    Stat,
    Writer,
    check_path,
    whole,
)
from moorage.storage.file_storage import FileStorage
from moorage.storage.filesystem.conditional_removal import delete_saying, finish_removals
from moorage.storage.filesystem.files import (
    INLINE_BYTES,
    FileReader,
    FileWriter,
    OpenFile,
    delete_abandoned,
    link_new,
    make_empty,
    open_to_write,
    probe,
    rename_or_remove,
    sync_bytes,
    sync_open,
    write_joined,
    write_new,
)
from moorage.storage.filesystem.folders import (
    SettledFolders,
    in_folder,
    in_new_folder,
    list_folder,
    make_root,
    remove_small,
    remove_tree,
    sync_folder,
    temporary_in,
)
from moorage.storage.filesystem.many_files import delete_each, get_each, remove_each, stat_each
from moorage.storage.filesystem.opening import check_file, open_to_read, read_beginning, read_whole, stat_of
from moorage.storage.filesystem.second_names import SecondNames
from moorage.storage.system_calls import as_storage_error
from moorage.storage.watching import Watch
from moorage.work.call_threads import CallThreads

_INLINE_NAMES = 1000
_THREADS = 32
"""They wait for the disk, they do not compute: the more wait together, the more of them share a journal commit."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class FilesystemDriver(FileStorage):
    """Objects as files below *root*.

    What is durable, and in which order it is written:

    * ``put`` writes a temporary file beside the target, syncs it, renames it over the target, then syncs the folder
      and every folder above whose own entry might not be on the disk yet. Before the rename the old content is there,
      after it the new; a crash leaves one of the two and at most a temporary that is never listed.
    * ``move`` syncs the source's bytes, renames, and syncs the target's folders likewise; ``place`` makes a hard link.
    * ``delete`` takes the name away first (a folder gets a temporary name), syncs the folder it was in, and only then
      removes what a deleted folder contained.
    * ``open_writer`` and ``Writer.write`` sync nothing; ``move`` does.

    If the last step, syncing a folder, fails, the change is visible but may not survive a power cut, and the caller
    is told. If syncing the bytes fails in ``move``, the source is removed: the kernel drops what it could not write
    and calls the next sync a success, so the bytes cannot be trusted again.

    What is answered from memory in microseconds is done at once, without a thread: reads of small objects, opening a
    writer, small pieces written without a sync, and removing an empty folder or a small file that need not be durable.
    All else that writes or waits for the disk goes to a thread of its own pool, once for each operation. A caller that
    is cancelled meanwhile is held until the operation is over, so it is done or not, and never done later.

    *root*, and folders in it, may be symbolic links that an administrator made: they are followed. ``delete`` removes
    a link, not what it points to. What is neither a file nor a folder is not there, though a list names it. A
    temporary's name begins with ``.~``, which no name in a path or a list does.

    Args:
        root: the folder; made if it is missing.
        fsync: False trades safety in a power cut for speed. A crash of ours still loses nothing.

    Raises:
        StorageUnavailable: *root* cannot be made.
    """

    name = "filesystem"
    capabilities = frozenset(
        {
            Capability.SENDFILE,
            Capability.SHARED,
            Capability.EXCLUSIVE_WRITERS,
            Capability.CONDITIONAL_PUT,
            Capability.RENAME,
        }
    )

    def __init__(self, root: Path, *, fsync: bool = True) -> None:
        self._root = str(root.absolute()).rstrip("/")
        self._fsync = fsync
        self._threads = CallThreads(_THREADS, "storage")
        self._settled = SettledFolders(self._root)
        self._second_names = SecondNames(self._settled, sync=fsync)
        self._watch: Watch | None = None
        try:
            make_root(root.absolute(), sync=fsync)
        except OSError as exc:
            raise as_storage_error(exc, str(root), must_exist=False) from exc
        finish_removals(self._root)

    async def stat(self, path: str, *, folder: bool = True) -> Stat:
        """See the interface."""
        try:
            found = stat_of(self._root + check_path(path))
        except OSError as exc:
            raise self._not_read(exc, path) from exc
        if found.is_folder and not folder:
            raise PathUnknown(path)
        return found

    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        """See the interface."""
        try:
            content = read_beginning(self._root + check_path(path), INLINE_BYTES)
            if len(content) == INLINE_BYTES:
                content = await self._run(read_whole, self._root + path, limit_bytes)
        except OSError as exc:
            raise self._not_read(exc, path) from exc
        if len(content) > limit_bytes:
            msg = f"{path}: more than {limit_bytes} bytes"
            raise StorageUnavailable(msg)
        return content

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        """See the interface."""
        self._check_place()
        try:
            await self._run(self._put, self._root + check_path(path), whole(content), sync=durable and self._fsync)
        except OSError as exc:
            raise as_storage_error(exc, path, must_exist=False) from exc

    async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
        """See the interface."""
        self._check_place()
        try:
            await self._run(self._link, self._root + check_path(path), whole(content))
        except FileExistsError:
            return False
        except OSError as exc:
            raise as_storage_error(exc, path, must_exist=False) from exc
        return True

    async def open(self, path: str, *, is_whole: bool = True) -> Reader:
        """See the interface."""
        del is_whole  # Nothing is read before it is asked for.
        try:
            fd = open_to_read(self._root + check_path(path))
            file = OpenFile(fd, self._threads)
            found = os.fstat(fd)
            check_file(found)
        except OSError as exc:
            raise self._not_read(exc, path) from exc
        if stat.S_ISDIR(found.st_mode):
            file.close()
            raise PathUnknown(path)
        return FileReader(file, path, found.st_size)

    async def open_writer(self, path: str, *, append: bool = False) -> Writer:
        """See the interface. Without a thread: it makes folders and an empty file at most, and syncs nothing.

        What is found to be appended to was made on this storage: only where it is not, another one may have come.
        """
        target, opened = self._root + check_path(path), list[Writer]()
        try:
            if append:
                return open_to_write(target, path, self._threads, append=True)
            self._check_place()
            in_folder(target.rpartition("/")[0], lambda: opened.append(open_to_write(target, path, self._threads)))
        except OSError as exc:
            raise (self._not_read(exc, path) if append else as_storage_error(exc, path, must_exist=False)) from exc
        return opened[0]

    async def make_empty(self, path: str) -> None:
        """See the interface. Without a thread, as it syncs nothing."""
        self._check_place()
        target = self._root + check_path(path)
        try:
            in_folder(target.rpartition("/")[0], lambda: make_empty(target))
        except OSError as exc:
            raise as_storage_error(exc, path, must_exist=False) from exc

    async def list(self, path: str, *, after: str = "", limit: int | None = None) -> list[FolderEntry]:
        """See the interface."""
        folder = self._root + check_path(path)
        try:
            found = list_folder(folder, after, limit, names_at_most=_INLINE_NAMES)
            if found is None:
                found = await self._run(list_folder, folder, after, limit) or []
        except OSError as exc:
            raise self._not_read(exc, path) from exc
        return found

    async def move(self, source: str, target: str, *, writer: Writer | None = None) -> None:
        """See the interface."""
        self._check_place()
        check_path(source)
        check_path(target)
        try:
            if isinstance(writer, FileWriter):
                await writer.in_thread(lambda fd: self._move(source, target, fd))
            else:
                await self._run(self._move, source, target)
        except OSError as exc:
            raise as_storage_error(exc, target, must_exist=False) from exc

    async def place(self, source: str, target: str, *, writer: Writer) -> bool:
        """See the interface."""
        self._check_place()
        files = self._root + check_path(source), self._root + check_path(target)
        if not isinstance(writer, FileWriter):
            return False
        try:
            return await writer.in_thread(lambda fd: self._second_names.give(fd, *files))
        except OSError as exc:
            raise as_storage_error(exc, source, must_exist=isinstance(exc, FileNotFoundError)) from exc

    async def copy(self, sources: Sequence[str], target: str, *, sizes: Sequence[int] = ()) -> None:
        """See the interface."""
        del sizes  # A file says how long it is.
        self._check_place()
        files = [self._root + check_path(source) for source in sources]
        try:
            await self._run(self._copy, files, self._root + check_path(target))
        except OSError as exc:
            raise as_storage_error(exc, sources[0], must_exist=True) from exc

    async def delete(self, path: str, *, durable: bool = True) -> None:
        """See the interface."""
        try:
            sync = durable and self._fsync
            if not sync and remove_small(self._root + check_path(path)):
                return
            await self._run(self._delete, check_path(path), sync=sync)
        except OSError as exc:
            raise as_storage_error(exc, path, must_exist=False) from exc

    async def delete_saying(self, path: str, content: bytes, *, where: str) -> bool:
        """See the interface. The folder gets a temporary name first, and what it says is read there.

        If it is something else it goes back, unless there is something newer already: ``conditional_removal.py``.
        """
        inside = check_path(where).removeprefix(check_path(path))
        try:
            return await self._run(delete_saying, self._root, path, content, inside=inside, sync=self._fsync)
        except OSError as exc:
            raise as_storage_error(exc, path, must_exist=False) from exc

    async def remove(self, paths: Sequence[str], *, until: float, rest: float = 0.0) -> Mapping[str, BackendError]:
        """See the interface. One thread for all, and one sync for each folder in which a name has gone."""
        return await self._run(remove_each, self._root, paths, until=until, rest=rest, sync=self._fsync)

    async def get_each(
        self, paths: Sequence[str], use: Callable[[int, bytes], _T], *, limit_bytes: int = 4 << 20
    ) -> Sequence[_T | None]:
        """See the interface. All in one thread, which others may do beside: a cold disk has much to wait for."""
        return self._seen(await self._run(get_each, self._root, paths, use, limit_bytes)) if paths else ()

    async def stat_each(self, paths: Sequence[str], *, folder: bool = False) -> Sequence[Stat | None]:
        """See the interface. All in one thread."""
        return self._seen(await self._run(stat_each, self._root, paths, folder=folder)) if paths else ()

    async def delete_each(self, paths: Sequence[str]) -> int:
        """See the interface. All in one thread, with two system calls for an object and its folder."""
        return await self._run(delete_each, self._root, paths) if paths else 0

    async def delete_abandoned(self, path: str) -> bool:
        """See the interface. Without a thread, as it is a small file."""
        try:
            return delete_abandoned(self._root + check_path(path))
        except OSError as exc:
            raise as_storage_error(exc, path, must_exist=True) from exc

    async def probe(self) -> None:
        """See the interface. Full is also what has less than 1 MiB left: pushes are refused."""
        self._check_place()
        try:
            await self._run(probe, self._root, sync=self._fsync)
        except OSError as exc:
            raise as_storage_error(exc, self._root, must_exist=False) from exc

    def watch(self, path: str, content: bytes | None) -> None:
        """See the interface."""
        target = self._root + (check_path(path) if path else "")
        try:
            self._watch = Watch(target or "/", content)
        except OSError as exc:
            raise as_storage_error(exc, path, must_exist=False) from exc

    async def close(self) -> None:
        """See the interface."""
        await self._threads.close()
        self._settled.close()

    async def _run(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await self._threads.run(call, *args, **kwargs)

    def _check_place(self) -> None:
        if self._watch is not None:
            self._watch.check()

    def _not_read(self, exc: OSError, path: str) -> BackendError:
        """The error of a read that failed. What is not there says nothing where another volume has come."""
        error = as_storage_error(exc, path, must_exist=True)
        if isinstance(error, PathUnknown):
            self._check_place()
        return error

    def _seen(self, found: Sequence[_T | None]) -> Sequence[_T | None]:
        if None in found:
            self._check_place()
        return found

    def _put(self, target: str, content: bytes, *, sync: bool) -> None:
        folder = target.rpartition("/")[0]

        def replace() -> None:
            temporary = temporary_in(folder)
            write_new(temporary, content, sync=sync)
            rename_or_remove(temporary, target)

        is_new = in_folder(folder, replace)
        if sync:
            self._settled.settle(folder, is_new=is_new)

    def _link(self, target: str, content: bytes) -> None:
        folder = target.rpartition("/")[0]
        is_new = in_folder(folder, lambda: link_new(target, content, sync=self._fsync))
        if self._fsync:
            self._settled.settle(folder, is_new=is_new)

    def _move(self, source: str, target: str, fd: int | None = None) -> None:
        """*fd*: the source, if it is open."""
        folder = (self._root + target).rpartition("/")[0]
        try:
            if self._fsync and fd is not None:
                sync_open(fd, self._root + source)
            elif fd is None:
                sync_bytes(self._root + source, sync=self._fsync)
        except OSError as exc:
            raise as_storage_error(exc, source, must_exist=True) from exc
        try:
            is_new = in_new_folder(folder, lambda: os.rename(self._root + source, self._root + target))
        except FileNotFoundError as exc:
            raise PathUnknown(source) from exc
        if self._fsync:
            self._settled.settle(folder, is_new=is_new)

    def _copy(self, files: Sequence[str], target: str) -> None:
        folder = target.rpartition("/")[0]

        def replace() -> None:
            temporary = temporary_in(folder)
            write_joined(temporary, files, sync=self._fsync)
            rename_or_remove(temporary, target)

        is_new = in_folder(folder, replace)
        if self._fsync:
            self._settled.settle(folder, is_new=is_new)

    def _delete(self, path: str, *, sync: bool) -> None:
        target = self._root + path
        folder = target.rpartition("/")[0]
        hidden = temporary_in(folder)
        try:
            is_folder = stat.S_ISDIR(os.lstat(target).st_mode)
            if is_folder:
                os.rename(target, hidden)
            else:
                os.unlink(target)
        except OSError as exc:
            raise as_storage_error(exc, path, must_exist=True) from exc
        if sync:
            sync_folder(folder)
        if is_folder:
            remove_tree(hidden)
