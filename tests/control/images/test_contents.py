"""Contents of images as the control plane reads them from manifests."""

import pytest

from moorage.control.images.contents import ManifestContents
from moorage.control.pages.image_details import details_of
from support.daemon import Daemon
from support.images import Image, build_cache, image, platform_index, push_image, push_manifest
from support.registry_client import RegistryClient

pytestmark = pytest.mark.usefixtures("registry")


def pushed(daemon: Daemon, path: str, made: Image) -> dict[str, int]:
    """Push it; return the sizes of its blobs."""
    with RegistryClient(daemon.address) as pusher:
        push_image(pusher, path, "1", made)
    return {blob.digest: len(blob.body) for blob in made.blobs}


def test_an_index_needs_what_its_images_need(shared_daemon: Daemon, repository: str) -> None:
    made = image("one of two")
    sizes = pushed(shared_daemon, repository, made)
    listing = platform_index({"amd64": made.manifest})
    with RegistryClient(shared_daemon.address) as pusher:
        push_manifest(pusher, repository, listing, "2")
    found = ManifestContents(repository).of([listing.digest])
    assert found.blobs == sizes
    assert set(found.manifests) == {listing.digest, made.digest}


def test_a_build_cache_needs_the_layers_that_it_lists(shared_daemon: Daemon, repository: str) -> None:
    cache = build_cache("of contents")
    sizes = pushed(shared_daemon, repository, cache)
    found = ManifestContents(repository).of([cache.digest])
    assert found.blobs == sizes
    assert set(found.manifests) == {cache.digest}


def test_the_page_of_a_build_cache_shows_its_layers_and_no_platforms(shared_daemon: Daemon, repository: str) -> None:
    cache = build_cache("of a page")
    sizes = pushed(shared_daemon, repository, cache)
    details = details_of(repository, "1")
    assert details is not None
    assert (details.platforms, details.size) == ([], sum(sizes.values()))
    assert [step.digest for step in details.steps] == list(sizes)
