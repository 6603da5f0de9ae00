"""Folders that are removed only while a file in them says a certain thing, for the file system driver.

No system call does that in one step. So the folder gets a temporary name, is looked at, and gets its own name back if
it says something else. Whoever is killed in between has left a note, by which the next process puts it back.
Why: ``docs/adr/0151-a-removal-that-is-killed-leaves-a-note.md``.
"""
# ruff: noqa: PTH104, PTH106, PTH108, PTH116, PTH208 - system calls on strings, as in the rest of this folder

import contextlib
import json
import os
import time
from collections.abc import Mapping

from moorage.room import NO_ROOM
from moorage.storage.filesystem.files import write_new
from moorage.storage.filesystem.folders import in_folder, remove_tree, sync_folder, temporary_in
from moorage.storage.filesystem.opening import open_to_read, read_whole
from moorage.telemetry import get_log

NOTES = "/.~removing"
"""The folder of notes, in the root. It is there only while there are some."""

_NOTE_LIMIT_BYTES = 64 << 10
_ABANDONED_S = 3600
"""Whoever took that long is not at work any more: a removal takes milliseconds."""

_log = get_log("storage")


def delete_saying(root: str, path: str, content: bytes, *, inside: str, sync: bool) -> bool:
    """Remove a folder if the file *inside* has this *content*; return whether it had: see ``filesystem_driver.py``."""
    target = root + path
    folder = target.rpartition("/")[0]
    hidden = temporary_in(folder)
    if not says(target + inside, content):
        return False
    said = {"path": path, "inside": inside, "content": content.decode("latin-1")}
    note = _write_note(root, hidden.rpartition("/")[2], said, sync=sync)
    try:
        os.rename(target, hidden)
    except OSError as exc:
        _remove_note(root, note)
        if isinstance(exc, FileNotFoundError):
            return False
        raise
    is_right = says(hidden + inside, content)
    if not is_right:
        _put_back(hidden, target, inside)
    if sync:
        sync_folder(folder)
    with contextlib.suppress(FileNotFoundError):
        remove_tree(hidden)
    _remove_note(root, note)  # Not after a failure: whoever starts next finishes it.
    return is_right


def finish_removals(root: str) -> None:
    """Finish what processes that were killed have begun: a folder that says something else gets its name back.

    Those that are still at work are not in the way of it: what it puts back they would put back, and what they
    remove it leaves to them until nobody can be at work any more.
    """
    try:
        names = os.listdir(root + NOTES)
    except OSError:
        return  # Hardly ever is there one; and a folder that cannot be read is told of by whoever asks for more.
    for name in names:
        note = f"{root}{NOTES}/{name}"
        try:
            _finish(root, note, is_abandoned=time.time() - os.stat(note).st_mtime > _ABANDONED_S)
        except FileNotFoundError:
            continue  # Whoever wrote it has just removed it.
        except OSError as exc:
            _log.warning("a removal that was broken off could not be finished", note=note, reason=str(exc))


def says(target: str, content: bytes) -> bool:
    """Return whether a small file has this content."""
    try:
        fd = open_to_read(target)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return os.read(fd, len(content) + 1) == content
    except IsADirectoryError:
        return False
    finally:
        os.close(fd)


def _put_back(hidden: str, folder: str, inside: str) -> None:
    """Give a folder its name back; if somebody has made it anew, give it at least the file *inside*, unless it has one.

    What is there by then is newer, and stays.
    """
    with contextlib.suppress(OSError):
        # Onto an empty folder too; one with something in it refuses.
        os.rename(hidden, folder)
        return
    with contextlib.suppress(FileNotFoundError, FileExistsError):
        in_folder((folder + inside).rpartition("/")[0], lambda: os.link(hidden + inside, folder + inside))


def _finish(root: str, note: str, *, is_abandoned: bool) -> None:
    try:
        value = json.loads(read_whole(note, _NOTE_LIMIT_BYTES))
        path, inside, content = value["path"], value["inside"], value["content"].encode("latin-1")
        target = root + path
        hidden = f"{target.rpartition('/')[0]}/{value['hidden']}"
    except (ValueError, KeyError, TypeError, AttributeError):  # Half of a note: its writer has not begun.
        if is_abandoned:
            _remove_note(root, note)
        return
    if os.path.lexists(hidden) and not says(hidden + inside, content):
        _put_back(hidden, target, inside)
        sync_folder(target.rpartition("/")[0])
    elif not is_abandoned:
        return
    with contextlib.suppress(FileNotFoundError):
        remove_tree(hidden)
    _remove_note(root, note)


def _write_note(root: str, hidden: str, said: Mapping[str, str], *, sync: bool) -> str:
    note, text = f"{root}{NOTES}/{hidden}", json.dumps({"hidden": hidden, **said})
    try:
        in_folder(root + NOTES, lambda: write_new(note, text.encode(), sync=sync))
    except OSError as exc:
        # What makes room must not need any. Nor can anybody push the tag anew, for whom the note would be.
        if exc.errno not in NO_ROOM:
            raise
    return note


def _remove_note(root: str, note: str) -> None:
    with contextlib.suppress(OSError):  # A note too many does no harm.
        os.unlink(note)
    with contextlib.suppress(OSError):
        os.rmdir(root + NOTES)
