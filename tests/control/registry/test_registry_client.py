"""The client against Moorage's own daemon, with a database and without one, and against Debian's docker-registry."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from moorage.auth.claims import AccessClaim
from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.registry_errors import RegistryIsOther, RegistryRefused, RegistryUnreachable
from moorage.control.registry.registry_values import RenameAnswer
from moorage.control.registry.transport import RegistryTransport
from moorage.errors import NameInvalid, TagInvalid
from support.daemon import Daemon
from support.images import image, platform_index, push_image, push_manifest
from support.peer import COMMAND, Peer
from support.ports import free_port
from support.registry_client import RegistryClient


def no_token(access: Sequence[AccessClaim]) -> str:
    del access
    return ""


_opened: list[RegistryTransport] = []


def client_of(url: str, *, clock: Callable[[], float] = time.monotonic) -> ControlRegistry:
    _opened.append(RegistryTransport(f"{url}/", no_token))
    return ControlRegistry(_opened[-1], clock=clock)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


@pytest.fixture(scope="module")
def third_party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    if shutil.which(COMMAND) is None:
        pytest.skip(f"{COMMAND} is not installed")
    folder = tmp_path_factory.mktemp("third")
    with Peer(folder, folder / "data") as peer:
        yield peer


@pytest.fixture(params=["moorage", "third party"])
def address(request: pytest.FixtureRequest) -> str:
    found: Daemon | Peer = request.getfixturevalue("shared_daemon" if request.param == "moorage" else "third_party")
    return found.address


def test_moorage_is_known_as_a_registry_of_gitlab(shared_daemon: Daemon) -> None:
    found = client_of(shared_daemon.url).info()
    assert (found.vendor, found.has_gitlab_api, found.is_database_enabled) == ("gitlab", True, True)
    assert "tag_delete" in found.features
    assert found.version


def test_another_registry_is_known_as_another(third_party: Peer) -> None:
    found = client_of(third_party.url).info()
    assert (found.vendor, found.version, found.features, found.has_gitlab_api) == ("other", "", (), False)


def test_a_registry_is_asked_once_for_what_it_is(shared_daemon: Daemon) -> None:
    now = [0.0]
    registry = client_of(shared_daemon.url, clock=lambda: now[0])
    known = registry.info()
    assert registry.info() is known
    now[0] = 301
    assert registry.info() is not known


def test_a_tag_is_shown_with_its_image(address: str, repository: str) -> None:
    made = image(repository, layers=3)
    with RegistryClient(address) as pusher:
        push_image(pusher, repository, "1.0", made)
    found = client_of(f"http://{address}").tag(repository, "1.0")
    assert found is not None
    assert (found.name, found.digest) == ("1.0", made.digest)
    # GitLab's API counts the configuration and the manifest too.
    assert (found.size_bytes or 0) >= 3000
    assert found.revision == made.blobs[0].digest.removeprefix("sha256:")
    assert found.short_revision == found.revision[:9]
    assert found.media_type == "application/vnd.oci.image.manifest.v1+json"


def test_what_is_not_there_is_none(address: str, repository: str) -> None:
    registry = client_of(f"http://{address}")
    assert registry.tag(repository, "none") is None
    assert registry.manifest(repository, "none") is None
    assert registry.blob(repository, f"sha256:{'0' * 64}") is None
    assert list(registry.all_tags(repository)) == []
    assert registry.tag_names(repository) == []
    assert registry.delete_tag(repository, "none") is False
    assert registry.delete_manifest(repository, f"sha256:{'0' * 64}") is False


def test_a_deleted_tag_takes_no_other_tag_of_its_image_with_it(address: str, repository: str) -> None:
    made = image(repository)
    registry = client_of(f"http://{address}")
    with RegistryClient(address) as pusher:
        push_image(pusher, repository, "goes", made)
        push_manifest(pusher, repository, made.manifest, "stays")
    assert registry.delete_tag(repository, "goes") is True
    assert registry.tag_names(repository) == ["stays"]
    assert registry.delete_tag(repository, "goes") is False
    found = registry.manifest(repository, "stays")
    assert found is not None
    assert (found.digest, found.payload) == (made.digest, made.manifest.body)


def test_a_deleted_manifest_takes_its_tags_with_it(address: str, repository: str) -> None:
    registry = client_of(f"http://{address}")
    with RegistryClient(address) as pusher:
        made = push_image(pusher, repository, "1")
    assert registry.delete_manifest(repository, made.digest) is True
    assert registry.manifest(repository, "1") is None


def test_an_index_has_no_configuration(address: str, repository: str) -> None:
    with RegistryClient(address) as pusher:
        made = push_image(pusher, repository)
        push_manifest(pusher, repository, platform_index({"linux/amd64": made.manifest}), "all")
    found = client_of(f"http://{address}").tag(repository, "all")
    assert found is not None
    assert (found.config_digest, found.revision) == ("", "")
    assert found.media_type == "application/vnd.oci.image.index.v1+json"


def test_a_configuration_can_be_read(address: str, repository: str) -> None:
    with RegistryClient(address) as pusher:
        made = push_image(pusher, repository, "1")
    assert client_of(f"http://{address}").blob(repository, made.blobs[0].digest) == made.blobs[0].body


def push_tags(address: str, repository: str, *names: str) -> None:
    with RegistryClient(address) as pusher:
        for name in names:
            push_image(pusher, repository, name, image(f"{repository} {name}"))


def test_pages_of_tags_lead_both_ways(shared_daemon: Daemon, repository: str) -> None:
    push_tags(shared_daemon.address, repository, "e", "d", "c", "b", "a")
    registry = client_of(shared_daemon.url)
    first = registry.tags(repository, limit=2)
    second = registry.tags(repository, limit=2, last=first.after)
    third = registry.tags(repository, limit=2, last=second.after)
    names = [[tag.name for tag in page.tags] for page in (first, second, third)]
    assert names == [["a", "b"], ["c", "d"], ["e"]]
    assert (first.before, third.after) == ("", "")
    again = registry.tags(repository, limit=2, before=second.before)
    assert [tag.name for tag in again.tags] == ["a", "b"]


def test_tags_are_listed_by_name_and_by_time(shared_daemon: Daemon, repository: str) -> None:
    push_tags(shared_daemon.address, repository, "b-old", "c-new", "a-newest")
    registry = client_of(shared_daemon.url)
    assert [tag.name for tag in registry.all_tags(repository)] == ["a-newest", "b-old", "c-new"]
    newest_first = [tag.name for tag in registry.all_tags(repository, sort="-published_at")]
    assert newest_first == ["a-newest", "c-new", "b-old"]
    by_time = registry.tags(repository, limit=1, sort="-published_at")
    assert [tag.name for tag in registry.tags(repository, limit=1, last=by_time.after, sort="-published_at").tags] == [
        "c-new"
    ]
    assert [tag.name for tag in registry.tags(repository, name="new").tags] == ["a-newest", "c-new"]
    assert all(tag.moment == tag.published_at is not None for tag in registry.all_tags(repository))


def test_all_tags_of_another_registry_are_listed_by_name(third_party: Peer, repository: str) -> None:
    push_tags(third_party.address, repository, "c", "a", "b")
    registry = client_of(third_party.url)
    assert [tag.name for tag in registry.all_tags(repository)] == ["a", "b", "c"]


def test_what_another_registry_cannot_do_is_said(third_party: Peer, repository: str) -> None:
    registry = client_of(third_party.url)
    assert registry.repository(repository, size="self") is None
    for ask in (
        lambda: registry.tags(repository),
        lambda: registry.repositories(repository),
        lambda: registry.rename(repository, name="other"),
    ):
        with pytest.raises(RegistryIsOther, match="no GitLab API"):
            ask()


def test_a_layer_counts_once_in_a_size(shared_daemon: Daemon, repository: str) -> None:
    made = image(repository, layers=2)
    with RegistryClient(shared_daemon.address) as pusher:
        push_image(pusher, repository, "1", made)
        push_manifest(pusher, repository, made.manifest, "2")
        push_image(pusher, f"{repository}/below", "1", made)
    registry = client_of(shared_daemon.url)
    for extent, path in (("self", repository), ("self_with_descendants", repository), ("", repository)):
        found = registry.repository(path, size=extent)  # type: ignore[arg-type] # the three words
        assert found is not None
        assert found.size_bytes == (2000 if extent else None)
        assert found.path == repository
    assert registry.repository("t/never-there") is None


def test_repositories_below_a_path_are_listed(shared_daemon: Daemon, repository: str) -> None:
    for path in (repository, f"{repository}/a", f"{repository}/b/c"):
        push_tags(shared_daemon.address, path, "1")
    registry = client_of(shared_daemon.url)
    assert [found.path for found in registry.all_repositories(repository)] == [
        repository,
        f"{repository}/a",
        f"{repository}/b/c",
    ]
    first = registry.repositories(repository, limit=1)
    assert [found.path for found in registry.repositories(repository, limit=1, last=first.after).repositories] == [
        f"{repository}/a"
    ]


def test_moorage_says_that_it_deletes_tags(shared_daemon: Daemon, repository: str) -> None:
    push_tags(shared_daemon.address, repository, "1")
    assert client_of(shared_daemon.url).can_delete_tag(repository, "1")


def test_a_registry_that_is_not_there_is_an_error_with_its_address(repository: str) -> None:
    port = free_port()
    with pytest.raises(RegistryUnreachable, match=f"127.0.0.1:{port} does not answer"):
        client_of(f"http://127.0.0.1:{port}").tag(repository, "1")


@pytest.mark.parametrize("name", ["", "..", "a/../b", "a?b", "a b", "a/", "%2e"])
def test_a_name_that_no_repository_has_is_not_sent(name: str) -> None:
    registry = client_of("http://127.0.0.1:1")
    with pytest.raises(NameInvalid):
        registry.tag_names(name)
    with pytest.raises(TagInvalid):
        registry.delete_tag("group/app", f"x/{name}")


def test_a_registry_that_deletes_nothing_keeps_its_tags(tmp_path: Path, repository: str) -> None:
    if shutil.which(COMMAND) is None:
        pytest.skip(f"{COMMAND} is not installed")
    peer = Peer(tmp_path, tmp_path / "data")
    peer.config_path.write_text(peer.config_path.read_text().replace("enabled: true", "enabled: false"))
    with peer:
        with RegistryClient(peer.address) as pusher:
            made = push_image(pusher, repository, "1")
        registry = client_of(peer.url)
        with pytest.raises(RegistryRefused, match="405 UNSUPPORTED"):
            registry.delete_tag(repository, "1")
        found = registry.manifest(repository, "1")
    assert found is not None
    assert found.digest == made.digest


def test_a_rename_is_tried_first(shared_daemon: Daemon, repository: str) -> None:
    push_tags(shared_daemon.address, repository, "1")
    registry = client_of(shared_daemon.url)
    result = registry.rename(repository, name="renamed", is_dry_run=True)
    assert result.answer in (RenameAnswer.ACCEPTED, RenameAnswer.BAD_REQUEST)
    with pytest.raises(ValueError, match="either a name or a namespace"):
        registry.rename(repository)
