"""Permission denied, in words: who this process is, and which right it lacks where."""

import errno
import os
import pwd
from pathlib import Path
from typing import Literal

Right = Literal["read", "write"]

_DENIED = frozenset({errno.EACCES, errno.EPERM})


def reason_of(exc: OSError, path: str | os.PathLike[str], right: Right) -> str:
    """Say why *path* could not be read or written; where it is for want of a right, who needs which."""
    reason = exc.strerror or str(exc)
    return f"{reason}; {need_of(path, right)}" if exc.errno in _DENIED else reason


def need_of(path: str | os.PathLike[str], right: Right) -> str:
    """Say which right is needed, and by whom; a file that is not there is made in its folder."""
    place, what = _place(Path(path).absolute(), right)
    return f"this process runs as {user()}, which needs the right to {what} {place}"


def reason_at(exc: Exception, path: Path, right: Right) -> str:
    """Say *exc*, and where the error does not tell it, which right is lacking at the file or its folder."""
    place = next((place for place in (path, path.parent) if lacks(place, right)), None)
    return str(exc) if place is None else f"{exc}; {need_of(place, right)}"


def lacks(path: str | os.PathLike[str], right: Right) -> bool:
    """Say if the right is lacking, without trying; a folder also has to be entered (x) for either."""
    place = Path(path).absolute()
    blocked = _blocked(place)
    if blocked is not None:
        return True
    if os.path.lexists(place):
        mode = os.R_OK if right == "read" else os.W_OK
        return not os.access(place, mode | os.X_OK if place.is_dir() else mode)
    return right == "write" and place.parent.is_dir() and not os.access(place.parent, os.W_OK | os.X_OK)


def user() -> str:
    """Name the user that this process runs as."""
    uid = os.geteuid()
    try:
        return f"the user {pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:  # As in most containers.
        return f"uid {uid}"


def _place(path: Path, right: Right) -> tuple[Path, str]:
    blocked = _blocked(path)
    if blocked is not None:
        return blocked, "enter (x)"
    if right == "read":
        return path, "read"
    nearest = next(part for part in (path, *path.parents) if os.path.lexists(part))
    return nearest, "write to" if nearest == path and not nearest.is_dir() else "write in"


def _blocked(path: Path) -> Path | None:
    """The first folder on the way that may not be entered."""
    for folder in reversed(path.parents):
        if not os.path.lexists(folder):
            return None
        if folder.is_dir() and not os.access(folder, os.X_OK):
            return folder
    return None
