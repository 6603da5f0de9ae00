"""Copies between two registries in this process, by the command."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moorage.cli.app import app
from support.faulty_front import FaultyFront, FrontFault
from support.images import (
    DOCKER_LIST,
    OCI_NONDISTRIBUTABLE,
    Content,
    Described,
    Image,
    artifact,
    blob,
    config,
    digest_of,
    docker_image,
    image,
    image_manifest,
    index,
    missing_digest,
    platform_index,
    push_blobs,
    push_image,
    push_manifest,
)
from support.in_process import InProcess
from support.registry_client import RegistryClient

RUNNER = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})


class Site:
    """A source and a target, and a client of each."""

    def __init__(self, source: InProcess, target: InProcess) -> None:
        self.source, self.target = RegistryClient(source.address), RegistryClient(target.address)

    def copy(self, source: str, target: str, *options: str, status: int = 0) -> dict[str, object]:
        """Run the command, and return what it prints as JSON."""
        words = ["copy", f"{self.source.address}/{source}", f"{self.target.address}/{target}", "--json", *options]
        done = RUNNER.invoke(app, words)
        assert done.exit_code == status, (done.stdout, done.stderr, done.exception)
        found = json.loads(done.stdout)
        assert isinstance(found, dict)
        return found

    def has(self, repository: str, reference: str, digest: str) -> bool:
        """Whether the target has a manifest, byte for byte."""
        ours = self.source.get_manifest("app", digest)
        there = self.target.get_manifest(repository, reference)
        return there.status == 200 and there.body == ours.body and there.headers["Docker-Content-Digest"] == digest


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "target").mkdir()
    with InProcess(None) as source, InProcess(tmp_path / "target") as target:
        found = Site(source, target)
        with found.source, found.target:
            yield found


def results(found: dict[str, object]) -> list[str]:
    references = found["references"]
    assert isinstance(references, list)
    return [reference["result"] for reference in references]


def test_a_tag_is_copied_byte_for_byte_and_a_repeat_moves_nothing(site: Site) -> None:
    made = push_image(site.source, "app", "1")
    first = site.copy("app:1", "mirror/app")
    assert results(first) == ["copied"]
    assert site.has("mirror/app", "1", made.digest)
    for part in made.blobs:
        assert site.target.get_blob("mirror/app", part.digest).body == part.body
    again = site.copy("app:1", "mirror/app")
    assert results(again) == ["present"]
    assert again["manifests"] == 0
    assert again["blobs"] == {kind: {"count": 0, "bytes": 0} for kind in ("present", "mounted", "copied")}


def push_index(client: RegistryClient, repository: str, tag: str) -> tuple[Content, dict[str, Image]]:
    """An index of images for two platforms."""
    images = {arch: image(f"{tag} {arch}", architecture=arch) for arch in ("amd64", "arm64")}
    for made in images.values():
        push_image(client, repository, made=made)
    whole = platform_index({arch: made.manifest for arch, made in images.items()})
    push_manifest(client, repository, whole, tag)
    return whole, images


def push_about(client: RegistryClient, repository: str, subject: Content, seed: str) -> Image:
    """A signature, or whatever else refers to *subject*."""
    made = artifact(seed, subject, artifact_type="application/vnd.example.signature")
    return push_image(client, repository, made=made)


def test_an_index_is_copied_with_all_platforms_and_with_what_refers_to_it_and_to_them(site: Site) -> None:
    whole, images = push_index(site.source, "app", "1")
    about_index = push_about(site.source, "app", whole, "of the index")
    about_image = push_about(site.source, "app", images["arm64"].manifest, "of an image")
    about_signature = push_about(site.source, "app", about_index.manifest, "of the signature")
    cosign = f"{whole.digest.replace(':', '-')}.sig"
    attached = push_image(site.source, "app", cosign)
    found = site.copy("app:1", "mirror:one")
    assert results(found) == ["copied"]
    assert found["referrers"] == 4
    assert site.has("mirror", "one", whole.digest)
    assert site.has("mirror", cosign, attached.digest)
    for made in (*images.values(), about_index, about_image, about_signature):
        assert site.has("mirror", made.digest, made.digest)
    for subject, made in ((whole, about_index), (images["arm64"].manifest, about_image)):
        listed = site.target.list_referrers("mirror", subject.digest).json()["manifests"]
        assert [entry["digest"] for entry in listed] == [made.digest]  # type: ignore[attr-defined] # or it fails
    assert results(site.copy("app:1", "mirror:one")) == ["present"]


def test_a_signature_that_came_later_is_copied_although_the_tag_is_there(site: Site) -> None:
    made = push_image(site.source, "app", "1")
    site.copy("app:1", "mirror")
    signature = push_about(site.source, "app", made.manifest, "late")
    assert site.copy("app:1", "mirror")["manifests"] == 1
    assert site.has("mirror", signature.digest, signature.digest)


def test_an_image_under_a_sha512_digest_is_copied_with_what_refers_to_it(site: Site) -> None:
    made = image("sha512")
    digest = digest_of(made.manifest.body, "sha512")
    push_blobs(site.source, "app", made.blobs)
    push_manifest(site.source, "app", made.manifest, digest)
    subject = {**made.manifest.descriptor(), "digest": digest}
    signature = push_image(site.source, "app", made=artifact("s", subject, artifact_type="application/vnd.example.s"))
    assert site.copy(f"app@{digest}", "mirror:1")["referrers"] == 1
    assert site.has("mirror", digest, digest)
    assert site.has("mirror", signature.digest, signature.digest)


def test_without_referrers_only_the_image_is_copied(site: Site) -> None:
    made = push_image(site.source, "app", "1")
    signature = push_about(site.source, "app", made.manifest, "not wanted")
    assert site.copy("app:1", "mirror", "--no-referrers")["referrers"] == 0
    assert site.target.get_manifest("mirror", signature.digest).status == 404


def test_of_an_index_one_platform_can_be_chosen_and_it_is_said_that_it_is_another_digest(site: Site) -> None:
    whole, images = push_index(site.source, "app", "1")
    found = site.copy("app:1", "mirror", "--platform", "linux/arm64")
    assert site.has("mirror", "1", images["arm64"].digest)
    assert site.target.get_manifest("mirror", whole.digest).status == 404
    assert "only its image for linux/arm64 is copied" in str(found["notes"])
    missing = site.copy("app:1", "mirror", "--platform", "linux/s390x", status=1)
    assert "it has linux/amd64, linux/arm64" in str(missing["references"])


def test_docker_images_and_lists_and_nested_indexes_keep_their_types(site: Site) -> None:
    made = push_image(site.source, "app", made=docker_image("d"))
    listed = index([made.manifest], media_type=DOCKER_LIST)
    push_manifest(site.source, "app", listed)
    nested = index([listed])
    push_manifest(site.source, "app", nested, "nested")
    site.copy("app:nested", "mirror")
    assert site.has("mirror", "nested", nested.digest)
    types = [site.target.get_manifest("mirror", one.digest).headers["Content-Type"] for one in (made.manifest, listed)]
    assert types == [made.manifest.media_type, DOCKER_LIST]


def test_a_build_cache_that_lists_its_layers_in_an_index_is_copied(site: Site) -> None:
    layer, recipe = blob("cached"), blob("recipe", media_type="application/vnd.buildkit.cacheconfig.v0")
    push_blobs(site.source, "app", [layer, recipe])
    cache = index([layer, recipe])
    push_manifest(site.source, "app", cache, "cache")
    assert results(site.copy("app:cache", "mirror")) == ["copied"]
    assert site.has("mirror", "cache", cache.digest)
    assert site.target.get_blob("mirror", layer.digest).body == layer.body


def test_a_layer_that_stays_elsewhere_is_copied_only_if_the_source_has_it(site: Site) -> None:
    here, elsewhere = blob("here", media_type=OCI_NONDISTRIBUTABLE), blob("elsewhere", media_type=OCI_NONDISTRIBUTABLE)
    layers: list[Described] = [part.descriptor(urls=["https://example.com/layer"]) for part in (here, elsewhere)]
    configuration = config("foreign")
    push_blobs(site.source, "app", [configuration, here])
    push_manifest(site.source, "app", image_manifest(configuration, layers), "1")
    assert results(site.copy("app:1", "mirror")) == ["copied"]
    assert site.target.get_blob("mirror", here.digest).status == 200
    assert site.target.get_blob("mirror", elsewhere.digest).status == 404


def test_tags_are_chosen_by_globs_and_one_that_fails_stops_no_other(site: Site) -> None:
    for tag in ("v1.0", "v1.1", "v1.1-rc1", "v2.0"):
        push_image(site.source, "app", tag)
    found = site.copy("app", "mirror", "--tags", "v1.*", "--exclude", "*-rc?")
    assert results(found) == ["copied", "copied"]
    assert site.target.list_tags("mirror").json()["tags"] == ["v1.0", "v1.1"]
    everything = site.copy("app", "mirror", "--all-tags")
    assert sorted(results(everything)) == ["copied", "copied", "present", "present"]


def test_a_dry_run_changes_nothing_and_says_what_would_be_copied(site: Site) -> None:
    made = push_image(site.source, "app", "1")
    found = site.copy("app:1", "mirror", "--dry-run")
    assert results(found) == ["to-copy"]
    assert found["blobs"]["to-copy"]["count"] == len(made.blobs)  # type: ignore[index] # or it fails
    assert site.target.list_tags("mirror").status == 404


def test_a_tag_of_the_target_is_kept_where_that_is_asked_for(site: Site) -> None:
    push_image(site.source, "app", "1")
    other = push_image(site.target, "mirror", "1", image("other"))
    assert results(site.copy("app:1", "mirror", "--no-clobber")) == ["kept"]
    assert site.target.get_manifest("mirror", "1").headers["Docker-Content-Digest"] == other.digest
    assert results(site.copy("app:1", "mirror")) == ["copied"]


@pytest.mark.parametrize(("seed", "result"), [("other", "kept"), ("made", "present")])
def test_a_tag_that_somebody_makes_during_the_copy_is_kept_where_that_is_asked_for(
    site: Site, seed: str, result: str
) -> None:
    push_image(site.source, "app", "1", image("made"))
    with FaultyFront(site.target.address) as front, RegistryClient(site.target.address) as somebody:
        meanwhile = partial(push_image, somebody, "mirror", "1", image(seed))
        front.faults.append(FrontFault(method="HEAD", part="/mirror/manifests/1", afterwards=meanwhile))
        words = ["copy", f"{site.source.address}/app:1", f"{front.address}/mirror", "--json", "--no-clobber"]
        done = RUNNER.invoke(app, words)
    assert (done.exit_code, results(json.loads(done.stdout))) == (0, [result])
    assert site.target.get_manifest("mirror", "1").headers["Docker-Content-Digest"] == image(seed).digest


def test_a_blob_that_the_target_has_in_another_repository_is_mounted(site: Site) -> None:
    made = image("shared")
    for repository in ("app", "app/two"):
        push_image(site.source, repository, "1", made)
    words = [f"{site.source.address}/app:1", f"{site.source.address}/third:1"]
    done = RUNNER.invoke(app, ["copy", *words, "--json"])
    assert json.loads(done.stdout)["blobs"]["mounted"]["count"] == len(made.blobs)
    assert site.source.get_manifest("third", "1").body == made.manifest.body


def test_an_image_is_copied_by_its_digest_with_a_tag_or_without(site: Site) -> None:
    made = push_image(site.source, "app", "1")
    site.copy(f"app@{made.digest}", "mirror")
    assert site.has("mirror", made.digest, made.digest)
    assert site.target.list_tags("mirror").json()["tags"] in (None, [])
    site.copy(f"app@{made.digest}", "mirror:named")
    assert site.has("mirror", "named", made.digest)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["app:none", "mirror"], "has no app:none"),
        (["app:1", "mirror", "--all-tags"], "give no tag and no digest"),
        (["app:1", f"mirror@{missing_digest('t')}"], "the target has a digest"),
        (["many", "mirror", "--tags", "["], "--tags and --exclude leave none of the 2 tags of many"),
        (["many", "mirror", "--tags", "v1*", "--exclude", "v*"], "--tags and --exclude leave none of the 2 tags"),
        (["app:1", "mirror", "--platform", "arm"], "is no platform"),
        (["app:1", "Mirror"], "lower-case"),
        (["other", "mirror", "--all-tags"], "said 404"),
    ],
)
def test_what_cannot_be_copied_is_said_in_one_line(site: Site, words: list[str], said: str) -> None:
    source, target, *options = words
    for tag in ("v1", "v2"):
        push_image(site.source, "many", tag)
    places = [f"{site.source.address}/{source}", f"{site.target.address}/{target}"]
    done = RUNNER.invoke(app, ["copy", *places, *options])
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_registry_that_is_not_there_is_said_at_once() -> None:
    done = RUNNER.invoke(app, ["copy", "127.0.0.1:1/app:1", "127.0.0.1:1/mirror"])
    assert done.exit_code == 1
    assert "cannot ask the registry at http://127.0.0.1:1: Connection refused; is it running?" in done.stderr


def test_all_tags_are_all_also_those_that_are_only_called_like_tags_of_referrers(site: Site) -> None:
    made = push_image(site.source, "app", "1")
    named = made.digest.replace(":", "-")
    signature = push_image(site.source, "app", f"{named}.sig")
    left = {tag: push_image(site.source, "app", tag) for tag in (named, f"{named}.notes", f"sha256-{'0' * 64}.sig")}
    found = site.copy("app", "mirror", "--all-tags")
    assert results(found) == ["copied"] * 4
    for tag, each in ({"1": made, f"{named}.sig": signature} | left).items():
        assert site.has("mirror", tag, each.digest), tag
    assert results(site.copy("app", "few", "--tags", "1")) == ["copied"]
    assert site.target.get_manifest("few", f"{named}.notes").status == 404
    assert results(site.copy("app", "alone", "--all-tags", "--no-referrers")) == ["copied"]
