"""Events: their fields, who hears of what, and what is left out."""

import json
import re

from moorage.notifications.events import (
    ACTIONS,
    NOBODY_HEARS,
    SILENT,
    Announcer,
    Audience,
    Listener,
    envelope,
)
from moorage.oci.digests import Digest
from moorage.oci.manifests import StoredManifest, parse
from moorage.oci.names import RepositoryName, Tag
from support.announcing import REQUEST, announcer, occasion, target
from support.images import Content, image

NAME = RepositoryName("group/app")
DIGEST = Digest.of(b"layer")


def stored(content: Content) -> StoredManifest:
    return StoredManifest(Digest.of(content.body), content.media_type, content.body)


def test_an_event_has_the_fields_of_gitlab_s_registry() -> None:
    (notice,) = announcer().blob_pushed(NAME, DIGEST, 5)
    event = json.loads(notice.payload)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", event.pop("id"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", event.pop("timestamp"))
    assert event == {
        "action": "push",
        "target": {
            "mediaType": "application/octet-stream",
            "digest": str(DIGEST),
            "size": 5,
            "length": 5,
            "url": f"https://registry.example.com/v2/group/app/blobs/{DIGEST}",
            "repository": "group/app",
        },
        "request": REQUEST,
        "actor": {"name": "ada"},
        "source": {"addr": "node:5000", "instanceID": "i1"},
    }


def test_an_envelope_has_one_event_and_is_indented_by_three() -> None:
    (notice,) = announcer().blob_pushed(NAME, DIGEST, 5)
    body = envelope(notice.payload)
    assert json.loads(body) == {"events": [json.loads(notice.payload)]}
    assert body.startswith(b'{\n   "events": [\n      {\n         "id": ')


def test_a_pulled_blob_says_where_from() -> None:
    (read,) = announcer().blob_pulled(NAME, DIGEST, 5, is_redirected=False)
    (sent,) = announcer().blob_pulled(NAME, DIGEST, None, is_redirected=True)
    assert json.loads(read.payload)["meta"] == {"blob": {"storageBackend": "filesystem"}}
    assert json.loads(sent.payload)["meta"] == {"blob": {"storageBackend": "filesystem", "redirected": True}}


def test_pulls_of_blobs_are_told_only_where_they_are_heard() -> None:
    audience = Audience(listeners=(Listener(name="told"),))
    assert Announcer(audience, occasion()).blob_pulled(NAME, DIGEST, 5, is_redirected=False) == ()


def test_each_tag_of_a_push_is_an_event_and_without_one_there_is_one() -> None:
    content = image(0).manifest
    manifest = parse(content.body, content.media_type)
    for tags, expected in ((["b", "a"], ["b", "a"]), ([], [None])):
        told = announcer().manifest_pushed(NAME, stored(content), manifest, [Tag(text) for text in tags])
        assert [target(notice.payload).get("tag") for notice in told] == expected
        assert len({notice.event_id for notice in told}) == len(told)


def test_references_are_listed_only_if_they_are_wanted() -> None:
    made = image(0, layers=2)
    content = made.manifest
    manifest = parse(content.body, content.media_type)
    for wanted, expected in ((False, None), (True, [part.digest for part in made.blobs])):
        (notice,) = announcer(includes_references=wanted).manifest_pushed(NAME, stored(content), manifest, [])
        references = target(notice.payload).get("references")
        found = [each["digest"] for each in references] if isinstance(references, list) else references
        assert found == expected


def test_an_endpoint_hears_what_it_does_not_ignore() -> None:
    told = announcer(
        Listener(name="all"),
        Listener(name="no blobs", ignored_media_types=frozenset({"application/octet-stream"})),
        Listener(name="no pushes", ignored_actions=frozenset({"push"})),
    )
    assert [notice.endpoint for notice in told.blob_pushed(NAME, DIGEST, 5)] == ["all"]
    assert [notice.endpoint for notice in told.tag_deleted(NAME, "v1")] == ["all", "no blobs", "no pushes"]


def test_a_rename_is_of_the_name_or_of_the_namespace() -> None:
    kinds = {"group/new": "name", "group/below/app": "namespace"}
    for text, kind in kinds.items():
        (notice,) = announcer().renamed(NAME, RepositoryName(text))
        assert target(notice.payload)["rename"] == {"type": kind, "from": "group/app", "to": text}
        assert notice.lane == text


def test_where_nobody_hears_nothing_is_made() -> None:
    content = image(0).manifest
    manifest = parse(content.body, content.media_type)
    for silent in (SILENT, Announcer(NOBODY_HEARS, occasion())):
        assert not silent
        assert list(silent.manifest_pushed(NAME, stored(content), manifest, [Tag("a")])) == []
        assert list(silent.blob_pushed(NAME, DIGEST, 1)) == []
        assert list(silent.manifest_deleted(NAME, DIGEST, ["a"])) == []


def test_a_notice_shows_no_payload() -> None:
    (notice,) = announcer().blob_pushed(NAME, DIGEST, 5)
    assert "ada" not in repr(notice)
    assert "ada" not in repr(occasion())


def test_every_action_can_be_ignored_by_name() -> None:
    assert ACTIONS == ("pull", "push", "mount", "delete", "rename")
