"""Ranges of versions, as the field writes them, and the order of versions."""

import pytest

from moorage.errors import ParameterInvalid
from moorage.oci.names import Tag
from moorage.relaying.tag_choice import TagChoice
from moorage.relaying.versions import VersionRange

TAGS = [Tag(text) for text in ("v1.0.0", "1.2", "1.2.3", "1.10.0", "2.0.0-rc.1", "2.0.0", "0.3.1", "latest", "01.2")]


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        (">=1.2 <2", ["1.10.0", "1.2", "1.2.3"]),
        (">=1.2, <2", ["1.10.0", "1.2", "1.2.3"]),
        ("^1.2", ["1.10.0", "1.2", "1.2.3"]),
        ("~1.2.1", ["1.2.3"]),
        ("1", ["1.10.0", "1.2", "1.2.3", "v1.0.0"]),
        ("=1.2.3", ["1.2.3"]),
        (">1", ["2.0.0"]),
        ("<=1.2", ["0.3.1", "1.2", "1.2.3", "v1.0.0"]),
        ("^0.3.0", ["0.3.1"]),
        (">=2.0.0-rc.0", ["2.0.0", "2.0.0-rc.1"]),
    ],
)
def test_a_range_has_the_versions_that_it_says(text: str, chosen: list[str]) -> None:
    assert [tag.text for tag in TagChoice(versions=VersionRange.parse(text)).chosen(TAGS)] == chosen


@pytest.mark.parametrize("text", ["", "newest", ">=", "1.2 ||", "^^1", ">=1.2 junk"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ParameterInvalid, match="is no range"):
        VersionRange.parse(text)


def test_the_latest_are_the_highest_versions_and_a_release_is_above_what_leads_to_it() -> None:
    assert [tag.text for tag in TagChoice(latest=4).chosen(TAGS)] == ["2.0.0", "2.0.0-rc.1", "1.10.0", "1.2.3"]


def test_tags_of_signatures_go_with_their_images_only() -> None:
    signature = Tag(f"sha256-{'a' * 64}.sig")
    assert TagChoice().chosen([signature, Tag("1")]) == [Tag("1")]
