"""buildah: commit from scratch, push, pull, and a manifest list with two platforms."""

import hashlib
import json
from pathlib import Path

from e2e.wire import Wire
from support.clients import Buildah

PLAIN = "--tls-verify=false"


def test_an_image_built_here_is_pushed_and_pulled_back(
    repository: str, buildah: Buildah, wire: Wire, tmp_path: Path
) -> None:
    buildah.build("localhost/made:1", {"/etc/motd": b"moorage\n", "/srv/data": repository.encode() * 1000})
    target = f"docker://{wire.address}/{repository}:1"
    buildah("push", PLAIN, "--digestfile", tmp_path / "digest", "localhost/made:1", target)
    digest = (tmp_path / "digest").read_text()
    answer = wire.manifest(repository, "1")
    assert answer.headers["docker-content-digest"] == digest
    assert f"sha256:{hashlib.sha256(answer.body).hexdigest()}" == digest
    made = buildah("images", "--quiet", "--no-trunc", "localhost/made:1")
    buildah("rmi", "--all")
    buildah("pull", PLAIN, target)
    assert buildah("images", "--quiet", "--no-trunc") == made


def test_a_manifest_list_is_pushed_with_all_its_platforms(repository: str, buildah: Buildah, wire: Wire) -> None:
    buildah("manifest", "create", "localhost/all")
    for architecture in ("amd64", "arm64"):
        name = f"localhost/made:{architecture}"
        buildah.build(name, {"/etc/arch": architecture.encode() * 500}, architecture=architecture)
        buildah("manifest", "add", "localhost/all", name)
    buildah("manifest", "push", PLAIN, "--all", "localhost/all", f"docker://{wire.address}/{repository}:all")
    listed = json.loads(wire.manifest(repository, "all").body)["manifests"]
    assert sorted(entry["platform"]["architecture"] for entry in listed) == ["amd64", "arm64"]
    for entry in listed:
        child = wire.manifest(repository, entry["digest"])
        assert child.status == 200
        config = json.loads(child.body)["config"]["digest"]
        told = json.loads(wire.blob(repository, config).body)
        assert told["architecture"] == entry["platform"]["architecture"]


def test_a_second_push_of_the_same_image_changes_nothing(repository: str, buildah: Buildah, wire: Wire) -> None:
    buildah.build("localhost/made:1", {"/srv/data": repository.encode()})
    digests = set()
    for tag in ("1", "2"):
        buildah("push", PLAIN, "localhost/made:1", f"docker://{wire.address}/{repository}:{tag}")
        digests.add(wire.manifest(repository, tag).headers["docker-content-digest"])
    assert len(digests) == 1
    assert wire.tags(repository) == ["1", "2"]
