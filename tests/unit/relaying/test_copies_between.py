"""Copies while others push to the same registries: what is not to be touched is not, whenever it came."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from moorage.client.credentials import Credentials
from moorage.oci.names import RepositoryName
from moorage.relaying.blob_copies import RepositoryPair
from moorage.relaying.image_copies import ImageWish
from moorage.relaying.registry_access import RegistryAccess
from moorage.relaying.relay_outcome import RelayOutcome
from moorage.relaying.relay_run import relay_run
from moorage.relaying.sync_plan import read_plan
from moorage.relaying.sync_run import SyncRun
from moorage.relaying.tag_choice import TagChoice
from support.faulty_front import FaultyFront, FrontFault
from support.images import Image, image, push_image
from support.registry_client import RegistryClient

PAIR = RepositoryPair(RepositoryName("app"), RepositoryName("mirror"))


@dataclass
class Site:
    """A source with an image, and a target behind a front."""

    source: RegistryClient
    target: RegistryClient
    front: FaultyFront

    def meanwhile(self, method: str, part: str, deed: Callable[[], object], **more: str) -> None:
        """Do something as soon as such a request comes to the target."""
        self.front.faults.append(FrontFault(method=method, part=part, meanwhile=deed, **more))  # type: ignore[arg-type] # names of headers

    async def copy(self, *, overwrites: bool) -> list[str]:
        source, target = (
            RegistryAccess(url=f"http://{address}", credentials=lambda _repository: Credentials())
            for address in (self.source.address, self.front.address)
        )
        outcome = RelayOutcome()
        async with relay_run(source, target, ImageWish(overwrites=overwrites), outcome) as copies:
            await copies.copy_tags(PAIR, TagChoice())
        return [reference.result.value for reference in outcome.references]

    def pushed_to_target(self, made: Image) -> str:
        return push_image(self.target, "mirror", "1", made).digest

    def there(self, tag: str) -> str:
        return self.target.get_manifest("mirror", tag).headers["Docker-Content-Digest"]


@pytest.fixture
def site(registries: tuple[RegistryClient, RegistryClient]) -> Iterator[Site]:
    source, target = registries
    with FaultyFront(target.address) as front:
        yield Site(source, target, front)


@pytest.mark.parametrize("comes", ["before its manifest", "with its last layer, to a registry without conditions"])
async def test_a_tag_that_is_pushed_to_the_target_during_the_copy_stays_where_that_is_asked_for(
    site: Site, comes: str
) -> None:
    push_image(site.source, "app", "1")
    other = image("other")
    deed = partial(site.pushed_to_target, other)
    if comes == "before its manifest":
        site.meanwhile("PUT", "manifests/1", deed)
    else:
        site.meanwhile("POST", "uploads", deed)
        site.front.faults.append(FrontFault(method="PUT", part="manifests/1", without="If-None-Match"))
    assert await site.copy(overwrites=False) == ["kept"]
    assert site.there("1") == other.digest
    assert await site.copy(overwrites=True) == ["copied"]


async def test_a_tag_that_is_pushed_with_the_same_image_meanwhile_is_there(site: Site) -> None:
    made = push_image(site.source, "app", "1")
    site.meanwhile("PUT", "manifests/1", partial(site.pushed_to_target, made))
    assert await site.copy(overwrites=False) == ["present"]


async def test_the_targets_own_signatures_stay_where_tags_are_to_stay(site: Site) -> None:
    made = push_image(site.source, "app", "1")
    tag = made.digest.replace(":", "-") + ".sig"
    push_image(site.source, "app", tag, image("theirs"))
    ours = push_image(site.target, "mirror", tag, image("ours"))
    assert "copied" in await site.copy(overwrites=False)
    assert site.there(tag) == ours.digest
    await site.copy(overwrites=True)
    assert site.there(tag) == image("theirs").digest


async def test_a_tag_that_came_to_source_and_target_during_a_copy_is_not_deleted(site: Site) -> None:
    for client, repository, tag in ((site.source, "app", "1"), (site.target, "mirror", "gone")):
        push_image(client, repository, tag)

    def deed() -> None:
        for client, repository in ((site.source, "app"), (site.target, "mirror")):
            push_image(client, repository, "new")

    site.meanwhile("GET", "tags/list", deed)
    entries = f"sync: [{{source: {site.source.address}/app, target: {site.front.address}/mirror, delete: true}}]"
    outcome = RelayOutcome()
    await SyncRun(read_plan(entries, {}, lambda _url: lambda _name: Credentials()), outcome).run()
    assert [reference.result.value for reference in outcome.references] == ["copied", "deleted"]
    assert site.target.list_tags("mirror").json()["tags"] == ["1", "new"]
