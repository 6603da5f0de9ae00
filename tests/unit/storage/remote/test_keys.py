"""Keys, and lists in the order of names."""

import bisect
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.base import FolderEntry
from moorage.storage.remote.keys import KeySpace, is_marker, is_never_a_folder
from moorage.storage.remote.paging import PAGE, KeyPage, names_in


@pytest.mark.parametrize(("root", "key"), [("", "a/b"), ("/", "a/b"), ("r", "r/a/b"), ("/r/s/", "r/s/a/b")])
def test_a_key_has_no_slash_in_front(root: str, key: str) -> None:
    space = KeySpace(root)
    assert space.key("/a/b") == key
    assert space.prefix("/a/b") == f"{key}/"
    assert space.path(key) == "/a/b"


@pytest.mark.parametrize("path", ["a", "/a/../b", "/a//b", "/"])
def test_a_path_that_is_none_has_no_key(path: str) -> None:
    with pytest.raises(StorageUnavailable):
        KeySpace().key(path)


def test_a_marker_is_known_by_its_slash() -> None:
    assert is_marker("a/")
    assert not is_marker("a")


def test_blobs_and_links_are_never_folders_and_whatever_a_client_names_may_be_one() -> None:
    digest, name, tag = Digest.parse(f"sha256:{'ab' * 32}"), RepositoryName("link/data"), Tag("link")
    for path in (
        paths.blob(digest),
        paths.layer_link(name, digest),
        paths.revision_link(name, digest),
        paths.tag_link(name, tag),
        paths.tag_index_link(name, tag, digest),
    ):
        assert is_never_a_folder(path), path
    for path in (paths.repository(name), paths.tag(name, tag), paths.manifests(name), paths.upload(name, "data")):
        assert not is_never_a_folder(path), path


class Keys:
    """A store's list: pages are short at its whim, its token is the place."""

    def __init__(self, keys: list[str], chance: random.Random) -> None:
        self.keys = sorted(keys)
        self.chance = chance
        self.requests = 0

    async def __call__(self, prefix: str, *, after: str = "", token: str = "", limit: int = PAGE) -> KeyPage:
        self.requests += 1
        after.encode()  # As whoever asks a server has to.
        at = int(token) if token else bisect.bisect_right(self.keys, after) if after else 0
        most = self.chance.randint(0, limit)
        found: list[str] = []
        while at < len(self.keys):
            key = self.keys[at]
            name, slash, _ = key.removeprefix(prefix).partition("/")
            folded = prefix + name + slash
            if key.startswith(prefix) and (not found or found[-1] != folded):
                if len(found) == most:
                    return KeyPage(found, str(at))
                found.append(folded)
            at += 1
        return KeyPage(found)


NAMES = st.text(alphabet="ab-.+~é", min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))


@given(
    names=st.dictionaries(NAMES, st.booleans(), min_size=1, max_size=20),
    after=st.one_of(st.just(""), NAMES, st.just("a\udcffb")),
    limit=st.one_of(st.none(), st.integers(1, 8)),
    seed=st.integers(0, 1000),
)
async def test_names_come_in_their_own_order_whatever_the_order_of_keys(
    names: dict[str, bool], after: str, limit: int | None, seed: int
) -> None:
    names = {**names, "b": True}
    keys = [f"r/f/{name}/x" if is_folder else f"r/f/{name}" for name, is_folder in names.items()]
    store = Keys([*keys, "r/f-/x", "r/f/b/c/d", "r/g/a"], random.Random(seed))
    listed = await names_in(store, "r/f/", after=after, limit=limit)
    in_order = [FolderEntry(name, names[name]) for name in sorted(names) if name > after and not name.startswith(".~")]
    assert listed == in_order[:limit]


@pytest.mark.parametrize("after", ["", "a"])
async def test_a_folder_that_is_not_there_is_unknown(after: str) -> None:
    with pytest.raises(PathUnknown):
        await names_in(Keys(["r/g/a", "r/f-/a"], random.Random(1)), "r/f/", after=after, limit=5)


async def test_behind_the_last_name_there_is_nothing() -> None:
    assert await names_in(Keys(["r/f/a"], random.Random(1)), "r/f/", after="b", limit=5) == []


async def test_a_page_of_a_long_list_takes_few_requests() -> None:
    class Full(random.Random):
        def randint(self, a: int, b: int) -> int:
            del a
            return b

    store = Keys([f"r/f/v{number}.{number % 7}-rc/x" for number in range(5000)], Full())
    listed = await names_in(store, "r/f/", after="v3", limit=100)
    assert len(listed) == 100
    assert store.requests <= 1 + 2 * 100
