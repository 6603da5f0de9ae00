"""Keys of objects: paths without their first slash, behind the prefix that the configuration calls a root folder."""

import re

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
    """

    def __init__(self, root: str = "") -> None:
        trimmed = root.strip("/")
        self.root = f"{trimmed}/" if trimmed else ""

    def key(self, path: str) -> str:
        """Return the key of the object at *path*."""
        return self.root + check_path(path)[1:]

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
