"""Which paths and names there may be."""

import pytest

from moorage.errors import StorageUnavailable
from moorage.storage.base import check_path, is_name


@pytest.mark.parametrize("path", ["/a", "/a/b", "/.hidden", "/...", "/a/..b", "/a/b..", "/sha256/0a", "/A-Z_0.9=+"])
def test_a_path_of_plain_names_is_taken(path: str) -> None:
    assert check_path(path) == path
    assert all(is_name(part) for part in path[1:].split("/"))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "a~", ".~0", "a\n", "..\n", "\x00", "\u00e9", "\udcff"])
def test_other_names_are_refused(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(StorageUnavailable):
        check_path(f"/a/{name}/") if name == "a/b" else check_path(f"/a/{name}")
