"""``moorage copy`` between our registry and others, with tokens, and after kill -9 in the middle."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from support.components import need
from support.daemon import Daemon
from support.faulty_front import FaultyFront, FrontFault
from support.images import (
    Content,
    Image,
    artifact,
    blob,
    config,
    digest_of,
    image,
    image_manifest,
    platform_index,
    push_image,
    push_manifest,
)
from support.in_process import InProcess
from support.peer import COMMAND, Peer
from support.ports import free_port
from support.registry_client import RegistryClient
from support.token_endpoint import SECRET, USER, TokenEndpoint
from support.tokens import ISSUER, SERVICE, Issuer

CRANE = "crane"
"""go-containerregistry's command, which is a registry, too."""


def moorage(*words: str, status: int = 0, given: str = "", docker: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "moorage", *words],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **({} if docker is None else {"DOCKER_CONFIG": str(docker)})},
    )
    assert done.returncode == status, done
    assert "Traceback" not in done.stderr
    return done.stdout


@contextmanager
def crane(folder: Path) -> Iterator[str]:
    """A registry of go-containerregistry, in memory."""
    address = f"127.0.0.1:{free_port()}"
    with (folder / "crane.log").open("wb") as log:
        process = subprocess.Popen([CRANE, "registry", "serve", "--address", address], stdout=log, stderr=log)
    try:
        for _ in range(600):
            assert process.poll() is None, (folder / "crane.log").read_text()
            with suppress(OSError), urllib.request.urlopen(f"http://{address}/v2/", timeout=2):
                break
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(params=[COMMAND, CRANE])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a registry that is not ours."""
    need(request.param)
    with ExitStack() as stack:
        if request.param == COMMAND:
            yield stack.enter_context(Peer(tmp_path / "peer", tmp_path / "peer-data")).address
        else:
            yield stack.enter_context(crane(tmp_path))


def signed_index(client: RegistryClient, repository: str) -> tuple[Content, list[Image]]:
    """An index with a signature by reference and one by tag, and one of its images with a list of parts."""
    images = {name: image(name, architecture=name) for name in ("amd64", "arm64")}
    whole = platform_index({name: made.manifest for name, made in images.items()})
    for made in images.values():
        push_image(client, repository, made=made)
    push_manifest(client, repository, whole, "1")
    about = [
        artifact("signature", whole, artifact_type="application/vnd.example.signature"),
        artifact("parts", images["arm64"].manifest, artifact_type="application/vnd.example.parts"),
    ]
    for made in about:
        push_image(client, repository, made=made)
    attached = push_image(client, repository, f"{whole.digest.replace(':', '-')}.sig")
    return whole, [*images.values(), *about, attached]


def test_to_another_registry_and_back_all_digests_and_all_signatures_are_the_same(other: str, tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    with InProcess(tmp_path / "ours") as registry, RegistryClient(registry.address) as client:
        whole, parts = signed_index(client, "group/app")
        away = json.loads(moorage("copy", f"{registry.address}/group/app", f"{other}/away/app", "-a", "--json"))
        back = json.loads(moorage("copy", f"{other}/away/app:1", f"{registry.address}/back", "--json"))
        assert [(one["result"], one["digest"]) for one in (*away["references"], *back["references"])] == [
            ("copied", whole.digest)
        ] * 2
        assert away["referrers"] == back["referrers"] == 3
        for part in (whole, *(made.manifest for made in parts)):
            assert client.get_manifest("back", part.digest).body == part.body
        for made in parts:
            for content in made.blobs:
                assert digest_of(client.get_blob("back", content.digest).body) == content.digest
        for subject, about in ((whole, parts[2]), (parts[1].manifest, parts[3])):
            listed = client.list_referrers("back", subject.digest).json()["manifests"]
            assert [entry["digest"] for entry in listed] == [about.digest]  # type: ignore[attr-defined] # or it fails
        again = json.loads(moorage("copy", f"{registry.address}/group/app", f"{other}/away/app", "-a", "--json"))
        assert (again["manifests"], again["blobs"]["copied"]["count"]) == (0, 0)


def test_a_registry_that_cannot_delete_a_tag_says_so_and_keeps_all_of_them(tmp_path: Path) -> None:
    need(COMMAND)
    with (
        Peer(tmp_path / "peer", tmp_path / "peer-data") as peer,
        RegistryClient(peer.address) as there,
        InProcess(None) as registry,
        RegistryClient(registry.address) as client,
    ):
        push_image(client, "app", "1")
        made = push_image(there, "app", "gone")
        push_manifest(there, "app", made.manifest, "other")
        file = tmp_path / "mirror.yml"
        entry = f"{{source: {registry.address}/app, target: {peer.address}/app, exclude: [other], delete: true}}"
        file.write_text(f"sync: [{entry}]")
        found = json.loads(moorage("sync", str(file), "--json", status=1))
        assert [one["result"] for one in found["references"]] == ["copied", "failed"]
        assert "cannot delete single tags (it said 4" in found["references"][1]["why"]
        tags = there.list_tags("app").json()["tags"]
        assert sorted(tags) == ["1", "gone", "other"]  # type: ignore[call-overload] # or it fails


def test_after_kill_9_in_the_middle_a_repeat_copies_only_the_rest(tmp_path: Path) -> None:
    configuration, first, second = config("killed"), blob("first", 1_000_000), blob("second", 1_000_000)
    made = Image(image_manifest(configuration, [first, second]), (configuration, first, second))
    with (
        InProcess(None) as registry,
        RegistryClient(registry.address) as client,
        FaultyFront(registry.address) as source,
        Daemon(tmp_path) as target,
        RegistryClient(target.address) as there,
    ):
        push_image(client, "app", "1", made)
        words = ["copy", f"{source.address}/app:1", f"{target.address}/app", "--jobs", "1"]
        ended = threading.Event()
        source.faults = [FrontFault(method="GET", part=second.digest, cut_answer_at=500_000, hangs=ended)]
        process = subprocess.Popen([sys.executable, "-m", "moorage", *words])
        assert source.reached.wait(60)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        ended.set()
        assert there.head_blob("app", first.digest).status == 200
        assert there.get_manifest("app", "1").status == 404
        moorage(*words)
        assert there.get_manifest("app", "1").body == made.manifest.body
        assert len(source.seen("GET", first.digest)) == 1
        assert len(source.seen("GET", second.digest)) == 2


def test_each_repository_is_asked_for_with_a_token_of_its_own_and_a_mount_with_one_for_both(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    with TokenEndpoint(issuer) as endpoint:
        names = f"realm: '{endpoint.url}', service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: '{issuer.bundle}'"
        text = f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: '{tmp_path / 'data'}'}}}}\n"
        (tmp_path / "data").mkdir()
        with Daemon(tmp_path, config=f"{text}auth: {{token: {{{names}}}}}\n") as daemon:
            home = tmp_path / "home"
            moorage("login", daemon.address, "-u", USER, "--password-stdin", given=f"{SECRET}\n", docker=home)
            with InProcess(None) as outside, RegistryClient(outside.address) as client:
                made = push_image(client, "app", "1")
                moorage("copy", f"{outside.address}/app:1", f"{daemon.address}/group/app", docker=home)
            inside = [f"{daemon.address}/group/app:1", f"{daemon.address}/mirror/app"]
            found = json.loads(moorage("copy", *inside, "--json", docker=home))
            assert found["references"][0]["digest"] == made.digest
            assert found["blobs"]["mounted"]["count"] == len(made.blobs)
            done = moorage("copy", inside[0], f"{daemon.address}/denied", status=1, docker=tmp_path)
            assert "failed" in done
