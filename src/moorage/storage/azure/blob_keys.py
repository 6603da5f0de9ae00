"""Keys of blobs: which there can be, and the extra slash in front that the first registries on Azure wrote."""

from moorage.storage.remote.keys import KeySpace

_MOST_CHARACTERS = 1024


class BlobKeys(KeySpace):
    """The keys of one registry within a container.

    Args:
        root: of the configuration, slashes at its ends do not matter.
        is_legacy: True: keys begin with a slash.
    """

    def __init__(self, root: str = "", *, is_legacy: bool = False) -> None:
        super().__init__(root, kind="blob of Azure", can_be=_can_be)
        if is_legacy:
            self.root = f"/{self.root}"


def _can_be(key: str) -> bool:
    # The service takes a backslash for a slash; a lone surrogate is a byte of a file's name that is no UTF-8.
    has_bad = "\\" in key or any("\ud800" <= character <= "\udfff" for character in key)
    return not has_bad and len(key) <= _MOST_CHARACTERS
