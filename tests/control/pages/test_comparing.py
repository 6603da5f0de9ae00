"""Two images beside each other, and what is attached to one: read, escaped, bounded."""

import base64
import json
import secrets

import pytest
from django.test import Client

from moorage.control.accounts.models import User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.recording import ensure_repository
from moorage.control.pages import attached
from moorage.control.projects.models import Project
from moorage.control.registry.client import ControlRegistry
from support.daemon import Daemon
from support.images import OCI_CONFIG, Image, artifact, blob, encode, image_manifest, push_image
from support.pages_inhabitants import inhabit
from support.pages_site import rich_image
from support.registry_client import RegistryClient


@pytest.fixture
def people(registry: ControlRegistry) -> dict[str, User]:
    del registry
    return inhabit()


@pytest.fixture
def path(people: dict[str, User]) -> str:
    """A repository with a name that no other test has pushed to."""
    del people
    project = Project.objects.get(full_path="team/app")
    return ensure_repository(project, f"team/app/pair-{secrets.token_hex(4)}", by=COMMAND_LINE).path


def built(seed: str, *, variables: list[str], layers: list[str]) -> Image:
    parts = [blob(f"{seed} {text}", 50_000) if text != "base" else blob("the base of all", 70_000) for text in layers]
    config = encode({"os": "linux", "architecture": "amd64", "config": {"Env": variables}}, OCI_CONFIG)
    return Image(image_manifest(config, parts), (config, *parts))


def test_two_tags_show_what_is_new_gone_and_in_common(
    people: dict[str, User], path: str, client: Client, shared_daemon: Daemon
) -> None:
    with RegistryClient(shared_daemon.address) as pusher:
        push_image(pusher, path, "1", built(path, variables=["A=1", "SAME=x"], layers=["base", "app"]))
        push_image(pusher, path, "2", built(path, variables=["A=2", "SAME=x"], layers=["base", "app", "more"]))
    client.force_login(people["rea"])
    text = client.get(f"/{path}/-/compare?from=1&with=2").content.decode()
    assert "Layers that are new" in text
    assert [text.count(words) for words in ("2 layers", "0 layers", "<dd>48.8 KiB<small>what a pull costs")] == [
        1,
        1,
        1,
    ]
    assert ">A</th>" in text
    assert ">SAME</th>" not in text
    assert "one and the same image" in client.get(f"/{path}/-/compare?from=1&with=1").content.decode()
    assert "There is no 9 here." in client.get(f"/{path}/-/compare?from=1&with=9").content.decode()
    assert client.get(f"/{path}/-/compare?from=1&with=-%2F").status_code == 200


def test_an_unfolded_tag_says_which_of_its_layers_others_have(
    people: dict[str, User], path: str, client: Client, shared_daemon: Daemon
) -> None:
    with RegistryClient(shared_daemon.address) as pusher:
        for tag in ("1", "2", "3"):
            push_image(pusher, path, tag, built(path, variables=[f"A={tag}"], layers=[f"base of {path}", f"app {tag}"]))
    client.force_login(people["rea"])
    text = client.get(f"/{path}/-/tags?open=1").content.decode()
    assert text.count("also in 2 other images") == 1
    assert text.count("only in this image") == 1


def test_a_strangers_artifact_is_shown_as_text_and_nothing_of_it_runs(
    people: dict[str, User], path: str, client: Client, shared_daemon: Daemon
) -> None:
    evil = "<script>alert(1)</script>"
    subject = rich_image(path)
    with RegistryClient(shared_daemon.address) as pusher:
        push_image(pusher, path, "1", subject)
        signature = artifact(evil, subject.manifest, artifact_type="application/vnd.sign")
        push_image(pusher, path, None, signature)
    client.force_login(people["rea"])
    unfolded = client.get(f"/{path}/-/tags?open=1").content.decode()
    address = f"/{path}/-/attached/{signature.manifest.digest}"
    assert f'href="{address}"' in unfolded
    text = client.get(address).content.decode()
    assert "application/vnd.sign" in text
    assert subject.manifest.digest in text
    assert evil not in text
    assert client.get(f"/{path}/-/attached/sha256:{'0' * 64}").status_code == 404
    assert client.get(f"/{path}/-/attached/nothing").status_code == 404


def test_sizes_of_hundreds_of_digits_are_not_known(
    people: dict[str, User], path: str, client: Client, shared_daemon: Daemon
) -> None:
    """The registry keeps what it does not know as it came, and whoever may push can write anything there."""
    kind, huge = "application/vnd.stranger+json", {"mediaType": "a/b", "digest": f"sha256:{'1' * 64}", "size": 10**400}
    manifest = encode({"schemaVersion": 2, "mediaType": kind, "layers": [huge], "blobs": [huge]}, kind)
    with RegistryClient(shared_daemon.address) as pusher:
        assert pusher.put_manifest(path, "huge", manifest.body, kind).status == 201
    client.force_login(people["rea"])
    assert client.get(f"/{path}/-/tags?open=huge").status_code == 200
    assert client.get(f"/{path}/-/attached/{manifest.digest}").status_code == 200


@pytest.mark.parametrize("is_enveloped", [True, False], ids=["in an envelope", "plain"])
def test_a_list_of_packages_is_a_table(*, is_enveloped: bool) -> None:
    packages = {"spdxVersion": "SPDX-2.3", "packages": [{"name": "zlib", "versionInfo": "1.3"}, {"name": "<b>"}]}
    value: object = packages
    if is_enveloped:
        statement = {"predicateType": "https://spdx.dev/Document", "predicate": packages}
        value = {"payloadType": "x", "payload": base64.b64encode(json.dumps(statement).encode()).decode()}
    part = attached.AttachedPart(media_type="x", digest="", size=1)
    attached.read_part(part, json.dumps(value).encode())
    assert [(one.name, one.version) for one in part.packages] == [("<b>", ""), ("zlib", "1.3")]
    assert part.predicate == ("https://spdx.dev/Document" if is_enveloped else "")


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\x00",
        b"a\0b",
        b"{" * 100_000,
        b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"payloadType": 1, "payload": "%%%"}',
        b'{"bomFormat": 1, "components": 7}',
    ],
)
def test_what_makes_no_sense_is_no_fault_of_the_page(payload: bytes) -> None:
    part = attached.AttachedPart(media_type="x", digest="", size=1)
    attached.read_part(part, payload)
    assert part.packages == ()
    assert len(part.text) <= attached.TEXT_LIMIT


def test_a_part_that_is_too_large_is_named_and_not_read(
    path: str, client: Client, shared_daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attached, "PART_LIMIT_BYTES", 10)
    with RegistryClient(shared_daemon.address) as pusher:
        pushed = push_image(pusher, path, "1", rich_image(path))
    client.force_login(User.objects.get(username="rea"))
    text = client.get(f"/{path}/-/attached/{pushed.digest}").content.decode()
    assert "It is too large to be shown here" in text
