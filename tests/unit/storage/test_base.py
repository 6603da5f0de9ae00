"""Which paths and names there may be."""

import pytest

from moorage.errors import StorageUnavailable
from moorage.storage.base import StorageDriver, check_path, is_name


@pytest.mark.parametrize(
    "path",
    [
        "/a",
        "/a/b",
        "/.hidden",
        "/...",
        "/a/..b",
        "/a/b..",
        "/sha256/0a",
        "/A-Z_0.9=+",
        "/host:5000/a",
        "/[::1]:5000/a",
        "/a b/c",
        "/a~",
        "/a\n",
        "/..\n",
        "/\u00e9",
        "/\udcff",
    ],
)
def test_a_path_of_names_that_a_folder_can_have_is_taken(path: str) -> None:
    assert check_path(path) == path
    assert all(is_name(part) for part in path[1:].split("/"))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".~0", "\x00", "a\x00b", "\ud800", "a\udfff"])
def test_other_names_are_refused(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(StorageUnavailable):
        check_path(f"/a/{name}/") if name == "a/b" else check_path(f"/a/{name}")


def test_a_backend_has_nine_methods_to_write() -> None:
    wanted = {"stat", "get", "put", "put_if_absent", "open", "list", "delete", "copy", "probe"}
    assert StorageDriver.__abstractmethods__ == wanted
