"""Lists of referrers that a copy keeps on a target without them, while another client changes the same list."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from moorage.client.credentials import Credentials
from moorage.oci.names import RepositoryName
from moorage.relaying import subject_lists
from moorage.relaying.blob_copies import RepositoryPair
from moorage.relaying.image_copies import ImageWish
from moorage.relaying.registry_access import RegistryAccess
from moorage.relaying.relay_outcome import RelayOutcome
from moorage.relaying.relay_run import relay_run
from moorage.relaying.tag_choice import TagChoice
from support.faulty_front import FaultyFront, FrontFault
from support.images import Content, Image, artifact, image, index, push_image, push_manifest
from support.registry_client import RegistryClient

PAIR = RepositoryPair(RepositoryName("app"), RepositoryName("mirror"))
EVER = 1000


@dataclass
class Site:
    """A source with an image and a signature of it, and a target whose front hides that it knows referrers."""

    source: RegistryClient
    target: RegistryClient
    front: FaultyFront
    made: Image
    signature: Image

    @property
    def list_tag(self) -> str:
        return self.made.digest.replace(":", "-")

    async def copy(self) -> list[tuple[str, str]]:
        source, target = (
            RegistryAccess(url=f"http://{address}", credentials=lambda _repository: Credentials())
            for address in (self.source.address, self.front.address)
        )
        outcome = RelayOutcome()
        async with relay_run(source, target, ImageWish(), outcome) as copies:
            await copies.copy_tags(PAIR, TagChoice())
        return [(reference.result.value, reference.why) for reference in outcome.references]

    def listed(self) -> list[str]:
        found = json.loads(self.target.get_manifest("mirror", self.list_tag).body)
        return [entry["digest"] for entry in found["manifests"]]

    def others(self, seed: str) -> Content:
        """A signature of somebody else's, which is on the target."""
        return push_image(self.target, "mirror", made=artifact(seed, self.made.manifest, artifact_type="a/b")).manifest

    def write(self, *entries: Content) -> None:
        """Have another client write the whole list."""
        push_manifest(self.target, "mirror", index(entries), self.list_tag)


@pytest.fixture
def site(registries: tuple[RegistryClient, RegistryClient], monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(subject_lists, "_PAUSE_S", 0.0, raising=False)
    source, target = registries
    made = push_image(source, "app", "1")
    signature = push_image(source, "app", made=artifact("ours", made.manifest, artifact_type="a/b"))
    push_image(target, "mirror", made=made)
    with FaultyFront(target.address) as front:
        front.faults += [
            FrontFault(method="GET", part="/referrers/", status=404, times=EVER),
            FrontFault(method="PUT", part=f"manifests/{signature.digest}", hides="OCI-Subject", times=EVER),
        ]
        yield Site(source, target, front, made, signature)


def without_conditions(site: Site, afterwards: Callable[[], object] | None = None) -> list[FrontFault]:
    """The faults of a target that knows no conditions; *afterwards* happens after the first two writes."""
    fault = partial(FrontFault, method="PUT", part=f"manifests/{site.list_tag}", without="If-Match, If-None-Match")
    return [fault(afterwards=afterwards, times=2), fault(times=EVER)]


async def test_what_another_client_lists_between_the_look_and_the_write_stays_listed(site: Site) -> None:
    before, between = site.others("before"), site.others("between")
    site.write(before)
    deed = partial(site.write, before, between)
    site.front.faults.append(FrontFault(method="PUT", part=f"manifests/{site.list_tag}", meanwhile=deed))
    assert await site.copy() == [("copied", "")]
    assert site.listed() == [before.digest, between.digest, site.signature.digest]


async def test_a_first_list_is_not_written_over_the_first_list_of_another_client(site: Site) -> None:
    between = site.others("between")
    deed = partial(site.write, between)
    site.front.faults.append(FrontFault(method="PUT", part=f"manifests/{site.list_tag}", meanwhile=deed))
    await site.copy()
    assert site.listed() == [between.digest, site.signature.digest]


async def test_an_entry_that_another_client_wrote_over_is_listed_again_where_there_are_no_conditions(
    site: Site,
) -> None:
    before, after = site.others("before"), site.others("after")
    site.write(before)
    site.front.faults += without_conditions(site, partial(site.write, before, after))
    assert await site.copy() == [("copied", "")]
    assert site.listed() == [before.digest, after.digest, site.signature.digest]


async def test_a_list_that_others_change_without_an_end_is_given_up_and_said(site: Site) -> None:
    seeds = iter(range(EVER))

    def deed() -> None:
        site.write(site.others(f"other {next(seeds)}"))

    site.front.faults.append(FrontFault(method="PUT", part=f"manifests/{site.list_tag}", meanwhile=deed, times=EVER))
    ((result, why),) = await site.copy()
    assert (result, f"others change mirror:{site.list_tag}" in why) == ("failed", True)
    assert next(seeds) < 10


async def test_a_target_that_compares_with_something_else_than_the_digest_has_the_list_written(site: Site) -> None:
    before = site.others("before")
    site.write(before)
    site.front.faults.append(FrontFault(method="PUT", part=f"manifests/{site.list_tag}", status=412, times=5))
    await site.copy()
    assert site.listed() == [before.digest, site.signature.digest]
    assert "if-match" not in site.front.seen("PUT", site.list_tag)[-1]


async def test_a_target_that_still_shows_the_list_of_before_is_believed_that_it_has_stored(site: Site) -> None:
    site.write(site.others("before"))
    old = site.target.get_manifest("mirror", site.list_tag)
    shown = {name: old.headers[name] for name in ("Content-Type", "Docker-Content-Digest")}
    stale = FrontFault(method="GET", part=site.list_tag, status=200, headers=shown, body=old.body, times=EVER)
    site.front.faults += [stale, *without_conditions(site)]
    assert await site.copy() == [("copied", "")]
    assert site.signature.digest in site.listed()
    assert len(site.front.seen("PUT", site.list_tag)) == 2, "once, and once more as the list is still not shown"


async def test_an_image_that_is_called_like_a_list_is_left_as_it_is(site: Site) -> None:
    theirs = push_image(site.target, "mirror", site.list_tag, image("called like a list"))
    ((result, why),) = await site.copy()
    assert (result, "is not a list of referrers" in why) == ("failed", True)
    assert site.target.get_manifest("mirror", site.list_tag).body == theirs.manifest.body
