"""Copies while a registry goes wrong: connections that end, "come back later", wrong bytes, no room."""

from collections.abc import Iterator

import pytest

from moorage.client.credentials import Credentials
from moorage.client.patience import RegistryPatience
from moorage.oci.names import RepositoryName
from moorage.relaying.blob_copies import RepositoryPair
from moorage.relaying.image_copies import ImageWish
from moorage.relaying.registry_access import RegistryAccess
from moorage.relaying.relay_outcome import RelayOutcome, RelayResult
from moorage.relaying.relay_run import relay_run
from moorage.relaying.tag_choice import TagChoice
from moorage.storage.memory import MemoryDriver
from support.faulty_front import FaultyFront, FrontFault
from support.images import DOCKER_SCHEMA1_SIGNED, Image, blob, config, digest_of, image_manifest, push_image
from support.in_process import InProcess
from support.registry_client import RegistryClient

LARGE_BYTES = 3_000_000
PAIR = RepositoryPair(RepositoryName("app"), RepositoryName("mirror"))


class Copying:
    """A source and a target, each behind a front."""

    def __init__(self, source: FaultyFront, target: FaultyFront) -> None:
        self.source, self.target = source, target
        self.pauses: list[float] = []

    async def run(self) -> RelayOutcome:
        """Copy all tags."""

        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        patience = RegistryPatience(sleep=sleep, chance=lambda: 1.0)
        source, target = (
            RegistryAccess(
                url=f"http://{front.address}", credentials=lambda _repository: Credentials(), patience=patience
            )
            for front in (self.source, self.target)
        )
        outcome = RelayOutcome()
        async with relay_run(source, target, ImageWish(jobs=1), outcome) as copies:
            await copies.copy_tags(PAIR, TagChoice())
        return outcome


@pytest.fixture
def large() -> Image:
    """An image with a layer that goes in many pieces."""
    configuration, layer = config("large"), blob("large", LARGE_BYTES)
    return Image(image_manifest(configuration, [layer]), (configuration, layer))


@pytest.fixture
def source(large: Image) -> Iterator[FaultyFront]:
    with InProcess(None) as registry, FaultyFront(registry.address) as front:
        with RegistryClient(registry.address) as client:
            push_image(client, "app", "1", large)
        yield front


@pytest.fixture
def behind() -> Iterator[RegistryClient]:
    with InProcess(None) as registry, RegistryClient(registry.address) as client:
        yield client


@pytest.fixture
def copying(source: FaultyFront, behind: RegistryClient) -> Iterator[Copying]:
    with FaultyFront(behind.address) as target:
        yield Copying(source, target)


def layer_of(made: Image) -> str:
    return made.blobs[1].digest


async def test_a_blob_that_breaks_off_in_the_source_is_gone_on_with_where_it_broke(
    copying: Copying, behind: RegistryClient, large: Image
) -> None:
    copying.source.faults = [FrontFault(method="GET", part=layer_of(large), cut_answer_at=1_000_000)]
    outcome = await copying.run()
    assert not outcome.has_failed, outcome.references
    assert [headers.get("range") for headers in copying.source.seen("GET", layer_of(large))] == [
        None,
        "bytes=1000000-",
    ]
    assert behind.get_blob("mirror", layer_of(large)).body == large.blobs[1].body
    assert len(copying.target.seen("PATCH", "uploads")) == 1


async def test_an_upload_that_breaks_off_is_gone_on_with_where_the_target_says(
    copying: Copying, behind: RegistryClient, large: Image
) -> None:
    copying.target.faults = [FrontFault(method="PATCH", part="uploads", cut_request_at=1_000_000)]
    outcome = await copying.run()
    assert not outcome.has_failed, outcome.references
    ranges = [headers.get("content-range") for headers in copying.target.seen("PATCH", "uploads")]
    assert ranges == [None, f"1000000-{LARGE_BYTES - 1}"]
    assert behind.get_blob("mirror", layer_of(large)).body == large.blobs[1].body


async def test_a_refusal_is_told_in_the_registrys_words_though_an_answer_to_head_has_none(copying: Copying) -> None:
    said = b'{"errors":[{"code":"DENIED","message":"ada may not pull here"}]}'
    copying.source.faults = [
        FrontFault(method="HEAD", part="manifests/1", status=403),
        FrontFault(method="GET", part="manifests/1", status=403, body=said),
    ]
    (failed,) = (await copying.run()).references
    assert failed.why.endswith("said 403: ada may not pull here")


async def test_an_upload_whose_answer_was_lost_is_not_sent_again(
    copying: Copying, behind: RegistryClient, large: Image
) -> None:
    copying.target.faults = [
        FrontFault(method="PATCH", part="uploads", loses_answer=True),
        FrontFault(method="PUT", part=f"digest={layer_of(large)}", loses_answer=True),
    ]
    outcome = await copying.run()
    assert not outcome.has_failed, outcome.references
    assert len(copying.target.seen("PATCH", "uploads")) == 1
    assert behind.get_blob("mirror", layer_of(large)).body == large.blobs[1].body


async def test_who_says_when_to_come_back_is_asked_again_then(copying: Copying, large: Image) -> None:
    later = {"Retry-After": "7"}
    copying.source.faults = [
        FrontFault(method="HEAD", part="manifests/1", status=429, headers=later),
        FrontFault(method="GET", part=layer_of(large), status=503, headers=later, times=2),
    ]
    copying.target.faults = [FrontFault(method="POST", part="uploads", status=429, headers=later)]
    assert not (await copying.run()).has_failed
    assert copying.pauses == [7.0] * 4


async def test_who_asks_for_too_long_a_wait_is_not_waited_for(copying: Copying) -> None:
    copying.source.faults = [
        FrontFault(method="HEAD", part="manifests/1", status=429, headers={"Retry-After": "86400"})
    ]
    (failed,) = (await copying.run()).references
    assert failed.result is RelayResult.FAILED
    assert "said 429, and to come back in 86,400 s" in failed.why
    assert copying.pauses == []


async def test_wrong_bytes_are_not_stored_and_leave_nothing(
    copying: Copying, behind: RegistryClient, large: Image
) -> None:
    wrong = blob("wrong", LARGE_BYTES).body
    copying.source.faults = [FrontFault(method="GET", part=layer_of(large), body=wrong)]
    (failed,) = (await copying.run()).references
    assert failed.result is RelayResult.FAILED
    assert f"for {layer_of(large)}" in failed.why
    assert behind.head_blob("mirror", layer_of(large)).status == 404
    assert behind.list_tags("mirror").json().get("tags") in (None, [])
    (dropped,) = [target for method, target, _ in copying.target.passed if method == "DELETE"]
    assert behind.upload_status(dropped).status == 404
    assert len(copying.target.seen("PUT", layer_of(large))) == 0
    assert not (await copying.run()).has_failed


async def test_a_manifest_with_other_bytes_is_not_stored(copying: Copying, large: Image) -> None:
    copying.source.faults = [
        FrontFault(method="GET", part=f"manifests/{large.digest}", body=large.manifest.body + b"\n", times=9)
    ]
    (failed,) = (await copying.run()).references
    assert f"for {large.digest}" in failed.why


async def test_a_target_without_room_is_not_sent_more(copying: Copying, large: Image) -> None:
    with RegistryClient(copying.source.address) as client:
        push_image(client, "app", "2")
    copying.target.faults = [FrontFault(method="PATCH", part="uploads", status=507, times=9)]
    first, second = (await copying.run()).references
    assert "said 507" in first.why
    assert "not begun: the target has no room left" in second.why
    assert len(copying.target.seen("PATCH", "uploads")) == 1


async def test_a_target_that_fills_up_in_the_middle_of_a_blob_says_so(source: FaultyFront, large: Image) -> None:
    with (
        InProcess(None, storage=MemoryDriver(limit_bytes=1_000_000)) as full,
        FaultyFront(full.address) as front,
        RegistryClient(full.address) as behind,
    ):
        (failed,) = (await Copying(source, front).run()).references
        assert failed.result is RelayResult.FAILED
        assert "said 507" in failed.why
        assert behind.head_blob("mirror", layer_of(large)).status == 404


async def test_an_image_of_schema_1_is_named_and_skipped(copying: Copying) -> None:
    body = b'{"schemaVersion": 1, "name": "app", "tag": "1", "fsLayers": [], "history": []}'
    shown = {"Content-Type": DOCKER_SCHEMA1_SIGNED, "Docker-Content-Digest": digest_of(body)}
    copying.source.faults = [
        FrontFault(method="HEAD", part="manifests/1", status=200, headers=shown),
        FrontFault(method="GET", part=f"manifests/{digest_of(body)}", status=200, headers=shown, body=body),
    ]
    outcome = await copying.run()
    (skipped,) = outcome.references
    assert skipped.result is RelayResult.SKIPPED
    assert "schema 1" in skipped.why
    assert not outcome.has_failed


async def test_a_source_that_never_gets_further_is_given_up(copying: Copying, large: Image) -> None:
    copying.source.faults = [FrontFault(method="GET", part=layer_of(large), cut_answer_at=0, times=99)]
    (failed,) = (await copying.run()).references
    assert failed.result is RelayResult.FAILED
    assert len(copying.source.seen("GET", layer_of(large))) == 1 + RegistryPatience().retries
    assert len(copying.pauses) == RegistryPatience().retries
