"""Keys of objects: paths without their first slash, behind the prefix that the configuration calls a root folder."""

import re
from collections.abc import Callable

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage import paths
from moorage.storage.base import check_path

_OBJECT = re.compile(
    rf"{paths.BLOBS}/.*/data|{paths.REPOSITORIES}/.*/_(?:layers|manifests/revisions)/.*/link"
    rf"|{paths.REPOSITORIES}/.*/_manifests/tags/[^/]+/(?:current|index/[^/]+/[^/]+)/link"
)


class KeySpace:
    """The keys of one registry within a bucket.

    Args:
        root: of the configuration, slashes at its ends do not matter.
        kind: of what the service keeps, for what is said.
        can_be: tells whether the service takes a key.
    """

    def __init__(self, root: str = "", *, kind: str = "object", can_be: Callable[[str], bool] = lambda _: True) -> None:
        trimmed = root.strip("/")
        self.root = f"{trimmed}/" if trimmed else ""
        self._kind = kind
        self._can_be = can_be

    def key(self, path: str) -> str:
        """Return the key of what may be at *path*.

        Raises:
            PathUnknown: nothing can have such a name.
        """
        key = self.root + check_path(path)[1:]
        if not self._can_be(key):
            raise PathUnknown(path)
        return key

    def new_key(self, path: str) -> str:
        """Return the key of what is written to *path*.

        Raises:
            StorageUnavailable: nothing can have such a name.
        """
        try:
            return self.key(path)
        except PathUnknown:
            msg = f"no {self._kind} can have this name: {path!r}"
            raise StorageUnavailable(msg) from None

    def prefix(self, path: str) -> str:
        """Return what all keys below the folder at *path* begin with. A longer name does not: it ends in a slash."""
        return f"{self.key(path)}/"

    def path(self, key: str) -> str:
        """Return the path of a key of ours."""
        return f"/{key.removeprefix(self.root)}"


def is_marker(key: str) -> bool:
    """Return whether a key only marks a folder, as consoles and copying tools leave them: it is no object."""
    return key.endswith("/")


def is_never_a_folder(path: str) -> bool:
    """Return whether a path of the registry's tree names an object or nothing: then a miss needs no second look.

    Every push begins with such misses.
    """
    return _OBJECT.fullmatch(path) is not None
