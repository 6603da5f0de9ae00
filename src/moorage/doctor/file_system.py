"""Promises that a file system has to keep for images to be safe: sync, rename, link, locks, capitals."""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from moorage.doctor.diagnosis import Report
from moorage.permissions import reason_of, user
from moorage.room import NAMES_FLOOR, STORAGE_FLOOR_BYTES, free_bytes, free_names

_TRIED_LOCK = "import fcntl,sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_SH | fcntl.LOCK_NB)"
_LOCK_DEADLINE_S = 30.0
_VOLATILE = frozenset({"tmpfs", "ramfs"})
_LITTLE_BYTES = 1 << 30
_MAKE_ROOM = "make room: see Health, and a full disk"
_REMEDY_WRITE = "let the registry's user write there; run this as that user"
_TREE = ("v2/blobs", "v2/repositories", "moorage", "lockfiles")
"""Folders below ``docker/registry`` between which files are moved."""


def check_folder(root: Path, report: Report, *, is_read_only: bool) -> bool:
    """Look at the folder of the images; return whether it can be used for more checks."""
    _say_who(root, report)
    _say_what(root, report)
    if is_read_only:
        report.skip("file system", "the registry is read-only, so nothing is written to try it")
        return True
    try:
        with _probe_folder(root) as folder:
            _check_sync(folder, report)
            _check_rename(root, folder, report)
            _check_link(folder, report)
            _check_locks(folder, report)
            _check_capitals(folder, report)
    except OSError as exc:
        report.fail("folder", f"{root} cannot be written to: {reason_of(exc, root, 'write')}", _REMEDY_WRITE)
        return False
    return True


def _say_who(root: Path, report: Report) -> None:
    owner = root.stat().st_uid
    if os.geteuid() == 0 and owner != 0:
        said = f"this runs as root, and {root} belongs to uid {owner}: a right that it lacks is not noticed"
        report.warn("folder", said, f"run it as that user: setpriv --reuid={owner} --clear-groups moorage doctor …")
    else:
        report.good("folder", f"{root}, looked at as {user()}")


def _say_what(root: Path, report: Report) -> None:
    free, names = free_bytes(root), free_names(root)
    if names is not None and names < NAMES_FLOOR:
        report.fail("room", f"{names} more files can be made (inodes): pushes are refused", _MAKE_ROOM)
    elif free is not None and free < STORAGE_FLOOR_BYTES:
        report.fail("room", f"{free} bytes are left: pushes are refused", _MAKE_ROOM)
    elif free is not None and free < _LITTLE_BYTES:
        report.warn("room", f"{free >> 20} MiB are left", "make room before pushes are refused")
    else:
        report.good("room", "the file system does not say" if free is None else f"{free >> 30} GiB are left")
    kind, options = mounted(root)
    if kind in _VOLATILE:
        report.fail("file system", f"it is {kind}: all is gone with the machine's power", "mount a disk there")
    elif "volatile" in options or "nobarrier" in options or "barrier=0" in options:
        said = f"{kind} is mounted with {', '.join(sorted(options & {'volatile', 'nobarrier', 'barrier=0'}))}"
        report.fail("file system", f"{said}: what is synced may be gone after a power cut", "mount it without that")
    elif "nolock" in options or "local_lock=all" in options or "local_lock=flock" in options:
        said = f"{kind} is mounted so that locks of one node are not seen by others"
        report.fail("file system", said, "mount it without nolock and local_lock")


def mounted(path: Path) -> tuple[str, frozenset[str]]:
    """Return the kind of the file system at *path* and the options that it is mounted with."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    found = ("unknown", frozenset[str]())
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            parts, _, rest = line.partition(" - ")
            if parts.split()[2] == wanted:
                kind, _source, options = rest.split()[:3]
                found = (kind, frozenset(f"{parts.split()[5]},{options}".split(",")))
    return found


@contextlib.contextmanager
def _probe_folder(root: Path) -> Iterator[Path]:
    folder = root / "docker" / "registry" / "moorage" / f"doctor-{secrets.token_hex(8)}"
    above = [part for part in (folder.parent, *folder.parent.parents) if not part.exists()]
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for made in above:
            with contextlib.suppress(OSError):  # Somebody has put something there.
                made.rmdir()


def _check_sync(folder: Path, report: Report) -> None:
    try:
        with (folder / "synced").open("wb") as file:
            file.write(b"synced")
            file.flush()
            os.fsync(file.fileno())
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as exc:
        said = f"a file or a folder cannot be synced: {exc.strerror}"
        report.fail("file system: sync", said, "use a file system that can: what was pushed may be lost otherwise")
        return
    report.good("file system: sync", "files and folders can be synced")


def _check_rename(root: Path, folder: Path, report: Report) -> None:
    check, tree = "file system: rename", root / "docker" / "registry"
    for name in _TREE:
        target = tree / name
        if not target.is_dir():
            continue
        source, moved = folder / "moved", target / f".~doctor-{secrets.token_hex(8)}"
        source.write_bytes(b"new")
        try:
            moved.write_bytes(b"old")
            os.rename(source, moved)  # noqa: PTH104 - the call under test, by its name
            is_new = moved.read_bytes() == b"new"
        except OSError as exc:
            why = "it is on another file system" if exc.errno == errno.EXDEV else exc.strerror
            remedy = "keep all below docker/registry on one file system, writable for the registry's user"
            report.fail(check, f"nothing can be moved to {target}: {why}", remedy)
            return
        finally:
            moved.unlink(missing_ok=True)
        if not is_new:
            report.fail(check, f"a rename in {target} does not replace what was there", "use another file system")
            return
    report.good(check, "a file replaces another in one step, in the whole tree")


def _check_link(folder: Path, report: Report) -> None:
    check = "file system: link"
    (folder / "first").write_bytes(b"")
    try:
        os.link(folder / "first", folder / "second")
        os.link(folder / "first", folder / "second")
    except FileExistsError:
        report.good(check, "of two that make the same file, one wins")
    except OSError as exc:
        said = f"a file cannot have two names: {exc.strerror}"
        report.fail(check, said, "use a file system with hard links: two pushes at once are told apart by them")
    else:
        report.fail(check, "a file was made twice", "use a file system on which one of two that make a file wins")


def _check_locks(folder: Path, report: Report) -> None:
    check, path = "file system: locks", folder / "locked"
    try:
        with path.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            command = [sys.executable, "-I", "-c", _TRIED_LOCK, str(path)]
            tried = subprocess.run(command, check=False, capture_output=True, timeout=_LOCK_DEADLINE_S)  # noqa: S603 - ours
    except (OSError, subprocess.TimeoutExpired) as exc:
        said = f"files cannot be locked: {getattr(exc, 'strerror', None) or exc}"
        report.fail(check, said, "mount it with locks: of NFS, version 4 or with its lock service")
        return
    if tried.returncode == 0:
        report.fail(check, "two processes hold the lock of one file", "mount it with locks that all processes see")
    elif b"BlockingIOError" not in tried.stderr:
        report.warn(check, "a second process could not try the lock")
    else:
        report.good(check, "a lock keeps other processes out")


def _check_capitals(folder: Path, report: Report) -> None:
    (folder / "case").write_bytes(b"")
    if (folder / "CASE").exists():
        said = "it takes latest and LATEST for one name, and they are two tags"
        report.fail("file system: names", said, "use a file system that tells capitals from small letters")
    else:
        report.good("file system: names", "capitals and small letters are told apart")
