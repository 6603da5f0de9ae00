"""GitLab's API: the list of tags with their details."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from spec.gitlab_v1 import GitLab, link_of, refusal
from support import images
from support.registry_client import Response

NAME = "list/app"
PATH = f"repositories/{NAME}/tags/list/"
SBOM, SIGNATURE = "application/vnd.sbom", "application/vnd.signature"
MOMENTS = {"older": (0, None), "old": (10, 30), "latest": (20, 70), "new": (40, None), "newer": (70, None)}
"""The example of GitLab's page: tags with the seconds of their creation and of their last move."""


@pytest.fixture(scope="module")
def gitlab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitLab]:
    with GitLab(tmp_path_factory.mktemp("gitlab")) as made:
        made.push(NAME, *"abcdef")
        made.push("list/times", *MOMENTS)
        for tag, (created, updated) in MOMENTS.items():
            made.set_moments("list/times", tag, created, updated)
        yield made


@pytest.fixture(scope="module")
def filtered(gitlab: GitLab) -> str:
    """The list of a repository whose tags look alike."""
    gitlab.push("list/filtered", "a_b", "a-b", "a.b", "ab", "AB", "v1.0", "v1.10")
    return "repositories/list/filtered/tags/list/"


@pytest.fixture(scope="module")
def referred(gitlab: GitLab) -> dict[str, str]:
    """The digests of the referrers of the tag ``with``, by artifact type; the tag ``without`` has none."""
    made = gitlab.push("list/referred", "with", seed="with")
    gitlab.push("list/referred", "without", seed="without")
    digests = {}
    for kind in (SBOM, SIGNATURE):
        artifact = images.artifact(kind, made.manifest, artifact_type=kind)
        images.push_blobs(gitlab.client, "list/referred", artifact.blobs)
        images.push_manifest(gitlab.client, "list/referred", artifact.manifest)
        digests[kind] = artifact.digest
    return digests


def names(response: Response) -> list[str]:
    assert response.status == 200, response
    return [item["name"] for item in json.loads(response.body)]


def marker(moment: str, tag: str) -> str:
    return base64.b64encode(f"{moment}|{tag}".encode()).decode()


class TestEntries:
    """V1A-010, V1A-011."""

    def test_a_tag_has_its_details(self, gitlab: GitLab) -> None:
        made = gitlab.push("list/entry", "moved", "new")
        gitlab.set_moments("list/entry", "moved", 0, 1)
        gitlab.set_moments("list/entry", "new", 2)
        common = {
            "digest": made.digest,
            "config_digest": made.blobs[0].digest,
            "media_type": images.OCI_MANIFEST,
            "size_bytes": sum(len(content.body) for content in (made.manifest, *made.blobs)),
        }
        first, second, third = (f"2023-02-01T00:00:0{second}.500Z" for second in (1, 2, 3))
        assert gitlab.json("repositories/list/entry/tags/list/") == [
            {"name": "moved", **common, "created_at": first, "updated_at": second, "published_at": second},
            {"name": "new", **common, "created_at": third, "published_at": third},
        ]

    def test_an_index_has_no_configuration(self, gitlab: GitLab) -> None:
        made = gitlab.push("list/index")
        images.push_manifest(gitlab.client, "list/index", images.index([made.manifest]), "all")
        (entry,) = gitlab.json("repositories/list/index/tags/list/")
        assert "config_digest" not in entry
        assert entry["media_type"] == images.OCI_INDEX

    def test_an_unknown_repository_is_404(self, gitlab: GitLab) -> None:
        for parameters in ({}, {"name_exact": "a"}, {"before": "a"}, {"sort": "published_at", "last": "a"}):
            response = gitlab.get("repositories/list/unknown/tags/list/", **parameters)
            assert refusal(response) == (404, "NAME_UNKNOWN", {"name": "list/unknown"}), parameters

    def test_a_repository_without_tags_has_none(self, gitlab: GitLab) -> None:
        gitlab.push("list/empty")
        response = gitlab.get("repositories/list/empty/tags/list/")
        assert (names(response), "Link" in response.headers) == ([], False)


class TestPages:
    """V1A-012, V1A-013, V1A-018: `n`, `last`, `before`, and a `Link` that leads both ways."""

    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            ({}, "abcdef"),
            ({"sort": "-name"}, "fedcba"),
            ({"n": 3}, "abc"),
            ({"n": 3, "sort": "-name"}, "fed"),
            ({"before": "c"}, "ab"),
            ({"before": "c", "sort": "-name"}, "fed"),
            ({"n": 2, "before": "c"}, "ab"),
            ({"n": 2, "before": "d", "sort": "-name"}, "fe"),
            ({"last": "c"}, "def"),
            ({"last": "c", "sort": "-name"}, "ba"),
            ({"n": 2, "last": "b"}, "cd"),
            ({"n": 2, "last": "e", "sort": "-name"}, "dc"),
            ({"n": "+2"}, "ab"),
            ({"sort": " -NAME "}, "fedcba"),
            ({"n": 1000, "last": "zzz"}, ""),
        ],
    )
    def test_the_page_is_that_of_the_documentation(
        self, gitlab: GitLab, parameters: dict[str, str], expected: str
    ) -> None:
        assert names(gitlab.get(PATH, **parameters)) == list(expected)

    def test_links_have_their_parameters_in_alphabetical_order(self, gitlab: GitLab) -> None:
        assert gitlab.get(PATH, n=2).headers["Link"] == f'</gitlab/v1/{PATH}?last=b&n=2>; rel="next"'
        assert gitlab.get(PATH, sort="-name", n=2, last="e", name="").headers["Link"] == (
            f'</gitlab/v1/{PATH}?before=d&n=2&sort=-name>; rel="previous", '
            f'</gitlab/v1/{PATH}?last=c&n=2&sort=-name>; rel="next"'
        )
        assert link_of(gitlab.get(PATH, n=4, last="b").headers) == {"previous": f"/gitlab/v1/{PATH}?before=c&n=4"}
        assert "Link" not in gitlab.get(PATH).headers

    @pytest.mark.parametrize("sort", ["name", "-name", "published_at", "-published_at"])
    @pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
    def test_links_lead_through_the_list_and_back(self, gitlab: GitLab, sort: str, n: int) -> None:
        path = "repositories/list/times/tags/list/"
        expected = names(gitlab.get(path, sort=sort))
        pages = [gitlab.get(path, sort=sort, n=n)]
        while target := link_of(pages[-1].headers).get("next"):
            pages.append(gitlab.client.request("GET", target))
        assert [name for page in pages for name in names(page)] == expected
        back = [pages[-1]]
        while target := link_of(back[-1].headers).get("previous"):
            back.append(gitlab.client.request("GET", target))
        assert [name for page in reversed(back) for name in names(page)] == expected

    @pytest.mark.parametrize("n", ["", "a", "1.5", "1_0", " 1", "٣", "9" * 5000, "0x1"])
    def test_a_size_that_is_no_number_is_refused(self, gitlab: GitLab, n: str) -> None:
        assert refusal(gitlab.get(PATH, n=n)) == (
            400,
            "INVALID_QUERY_PARAMETER_TYPE",
            {"parameter": "n", "type": "int"},
        )

    @pytest.mark.parametrize("n", [0, -1, 1001, 10**17])
    def test_a_size_outside_its_range_is_refused(self, gitlab: GitLab, n: int) -> None:
        status, code, detail = refusal(gitlab.get(PATH, n=n))
        assert (status, code) == (400, "INVALID_QUERY_PARAMETER_VALUE")
        assert detail == {"parameter": "n", "minimum": 1, "maximum": 1000}

    def test_both_directions_at_once_are_refused(self, gitlab: GitLab) -> None:
        for parameters in ({"last": "a", "before": "b"}, {"last": "", "before": ""}):
            status, code, detail = refusal(gitlab.get(PATH, **parameters))
            assert (status, code) == (400, "INVALID_QUERY_PARAMETER_VALUE")
            assert detail == {"parameters": ["last", "before"]}

    @pytest.mark.parametrize("parameter", ["last", "before"])
    @pytest.mark.parametrize("value", ["", "-", "é", "a\0", "...", "%"])
    def test_a_place_without_a_letter_is_refused(self, gitlab: GitLab, parameter: str, value: str) -> None:
        status, code, detail = refusal(gitlab.get(PATH, **{parameter: value}))
        assert (status, code, detail["parameter"]) == (400, "INVALID_QUERY_PARAMETER_VALUE", parameter)

    @pytest.mark.parametrize("value", ["c' OR 1=1 --", "bé", 'b"', "b\\", "b%", "b\U0001f600"])
    def test_a_hostile_place_is_a_place(self, gitlab: GitLab, value: str) -> None:
        expected = [tag for tag in "abcdef" if tag > value]
        response = gitlab.get(PATH, last=value)
        assert names(response) == expected


class TestPublicationOrder:
    """V1A-013, V1A-016."""

    PATH = "repositories/list/times/tags/list/"

    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            ({"sort": "published_at"}, ["older", "old", "new", "latest", "newer"]),
            ({"sort": "-published_at"}, ["newer", "latest", "new", "old", "older"]),
            ({"sort": "published_at", "n": 2}, ["older", "old"]),
            ({"sort": "-published_at", "n": 2}, ["newer", "latest"]),
            ({"sort": "PUBLISHED_AT"}, ["older", "old", "new", "latest", "newer"]),
        ],
    )
    def test_tags_are_in_the_order_of_their_last_move(
        self, gitlab: GitLab, parameters: dict[str, Any], expected: list[str]
    ) -> None:
        assert names(gitlab.get(self.PATH, **parameters)) == expected

    @pytest.mark.parametrize(
        ("parameter", "moment", "tag", "sort", "expected"),
        [
            ("before", "2023-02-01T00:00:41.500999Z", "new", "published_at", ["older", "old"]),
            ("before", "2023-02-01T00:00:31.500999Z", "old", "-published_at", ["latest", "new"]),
            ("last", "2023-02-01T00:00:31.500999Z", "old", "published_at", ["new", "latest"]),
            ("last", "2023-02-01T00:00:41.500999Z", "new", "-published_at", ["old", "older"]),
            ("last", "2023-02-01T00:01:11.500999Z", "latest", "published_at", ["newer"]),
            ("last", "2023-02-01T00:00:31Z", "zzz", "published_at", ["old", "new"]),
            ("last", "2023-02-01T00:00:31.5Z", "old", "published_at", ["old", "new"]),
            ("last", "2023-02-01T00:00:31.500999123Z", "old", "published_at", ["new", "latest"]),
            ("last", "2023-02-01T00:00:31.500999Z", "old\n", "published_at", ["new", "latest"]),
        ],
    )
    def test_a_place_is_a_moment_and_a_tag(  # noqa: PLR0917 - a table
        self, gitlab: GitLab, parameter: str, moment: str, tag: str, sort: str, expected: list[str]
    ) -> None:
        response = gitlab.get(self.PATH, sort=sort, n=2, **{parameter: marker(moment, tag)})
        assert names(response) == expected

    def test_links_hold_the_moment_with_microseconds(self, gitlab: GitLab) -> None:
        links = link_of(gitlab.get(self.PATH, sort="published_at", n=2, last="old").headers)
        found = {
            relation: dict(part.split("=", 1) for part in urlsplit(link).query.split("&"))
            for relation, link in links.items()
        }
        before = quote(marker("2023-02-01T00:00:41.500999Z", "new"), safe="")
        assert found["previous"] == {"before": before, "n": "2", "sort": "published_at"}
        assert list(found["next"]) == ["last", "n", "sort"]

    def test_a_marker_may_come_with_blanks_for_plusses_or_escaped_twice(self, gitlab: GitLab) -> None:
        """`+` in a query is a blank, and base64 may have one; GitLab's registry decodes twice."""
        made = marker("2023-02-01T00:00:31.500999Z", "old>>>")
        assert "+" in made
        for value in (made, made.replace("+", " "), quote(made, safe="")):
            assert names(gitlab.get(self.PATH, sort="published_at", n=1, last=value)) == ["new"], value

    def test_what_is_no_marker_is_the_name_of_a_tag(self, gitlab: GitLab) -> None:
        assert names(gitlab.get(self.PATH, sort="published_at", n=1, last="old")) == ["new"]
        no_moment = marker("yesterday", "old")
        response = gitlab.get(self.PATH, sort="published_at", n=1, last=no_moment)
        assert refusal(response)[:2] == (400, "INVALID_QUERY_PARAMETER_VALUE")

    def test_a_marker_in_a_list_by_name_is_its_tag(self, gitlab: GitLab) -> None:
        assert names(gitlab.get(PATH, n=1, last=marker("2023-02-01T00:00:31Z", "b"))) == ["c"]

    @pytest.mark.parametrize("moment", ["2023-02-30T00:00:00Z", "2023-13-01T00:00:00Z", "0000-01-01T00:00:00Z"])
    def test_a_moment_that_is_none_is_refused(self, gitlab: GitLab, moment: str) -> None:
        response = gitlab.get(self.PATH, sort="published_at", last=marker(moment, "old"))
        assert refusal(response)[:2] == (400, "INVALID_QUERY_PARAMETER_VALUE")

    @pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
    def test_moments_may_be_the_first_and_the_last(self, gitlab: GitLab, moment: str) -> None:
        assert gitlab.get(self.PATH, sort="published_at", last=marker(moment, "old")).status == 200

    @pytest.mark.parametrize("sort", ["created_at", "--name", "name,published_at", "-", "name-"])
    def test_another_order_is_refused(self, gitlab: GitLab, sort: str) -> None:
        status, code, detail = refusal(gitlab.get(PATH, sort=sort))
        assert (status, code) == (400, "INVALID_QUERY_PARAMETER_VALUE")
        assert detail == {"parameter": "sort", "values": ["name", "-name", "published_at", "-published_at"]}


class TestFilters:
    """V1A-014, V1A-015."""

    @pytest.mark.parametrize(
        ("part", "expected"),
        [
            ("_", ["a_b"]),
            ("b", ["a-b", "a.b", "a_b", "ab"]),
            ("B", ["AB"]),
            ("-b", ["a-b"]),
            (".", ["a.b", "v1.0", "v1.10"]),
            ("1.1", ["v1.10"]),
            ("x", []),
        ],
    )
    def test_a_name_is_found_by_any_part_of_it(
        self, gitlab: GitLab, filtered: str, part: str, expected: list[str]
    ) -> None:
        assert names(gitlab.get(filtered, name=part)) == expected

    def test_a_filter_goes_along_in_the_links(self, gitlab: GitLab, filtered: str) -> None:
        response = gitlab.get(filtered, name="b", n=2, sort="-name")
        links = link_of(response.headers)
        assert links == {"next": f"/gitlab/v1/{filtered}?last=a_b&n=2&name=b&sort=-name"}
        second = gitlab.client.request("GET", links["next"])
        assert names(response) + names(second) == ["ab", "a_b", "a.b", "a-b"]
        assert link_of(second.headers) == {"previous": f"/gitlab/v1/{filtered}?before=a.b&n=2&name=b&sort=-name"}

    @pytest.mark.parametrize("part", ["%", "a b", "a/b", "é", "a" * 129, "\\", "a\n"])
    def test_a_part_that_no_tag_can_have_is_refused(self, gitlab: GitLab, filtered: str, part: str) -> None:
        status, code, detail = refusal(gitlab.get(filtered, name=part))
        assert (status, code) == (400, "INVALID_QUERY_PARAMETER_VALUE")
        assert detail == {"parameter": "name", "pattern": "^[a-zA-Z0-9._-]{1,128}$"}

    def test_an_exact_name_is_one_tag_or_none_whatever_the_page(self, gitlab: GitLab, filtered: str) -> None:
        response = gitlab.get(filtered, name_exact="ab", n=1, last="zzz", sort="-published_at")
        assert (names(response), "Link" in response.headers) == (["ab"], False)
        for exact in ("a", "AB.", "a%", "ab/../x", "x" * 500):
            assert names(gitlab.get(filtered, name_exact=exact)) == [], exact

    def test_an_exact_name_and_a_part_together_are_refused(self, gitlab: GitLab, filtered: str) -> None:
        status, code, detail = refusal(gitlab.get(filtered, name="a", name_exact="a"))
        assert (status, code) == (400, "INVALID_QUERY_PARAMETER_VALUE")
        assert detail == {"parameters": ["name", "name_exact"]}

    def test_an_exact_name_without_a_letter_is_refused(self, gitlab: GitLab, filtered: str) -> None:
        assert refusal(gitlab.get(filtered, name_exact="%"))[:2] == (400, "INVALID_QUERY_PARAMETER_VALUE")


class TestReferrers:
    """V1A-017."""

    def found(self, gitlab: GitLab, **parameters: str) -> dict[str, object]:
        entries = gitlab.json("repositories/list/referred/tags/list/", **parameters)
        return {entry["name"]: entry["referrers"] for entry in entries if "referrers" in entry}

    def test_they_are_shown_when_asked_for(self, gitlab: GitLab, referred: dict[str, str]) -> None:
        expected = [{"artifactType": kind, "digest": digest} for kind, digest in referred.items()]
        expected.sort(key=lambda item: item["digest"])
        assert self.found(gitlab, referrers="true") == {"with": expected}
        assert self.found(gitlab, referrers="true", name_exact="with") == {"with": expected}
        for value in ("", "false", "1", "TRUE"):
            assert self.found(gitlab, referrers=value) == {}
        assert self.found(gitlab, referrer_type="application/vnd.sbom") == {}

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ("referrer_type=application/vnd.sbom", 1),
            ("referrer_type=APPLICATION/vnd.SBOM", 1),
            ("referrer_type=application/vnd.sbom,%20application/vnd.signature", 2),
            ("referrer_type=application/vnd.sbom&referrer_type=application/vnd.signature", 2),
            ("referrer_type=", 2),
            ("referrer_type=application/vnd", 0),
        ],
    )
    @pytest.mark.usefixtures("referred")
    def test_they_are_filtered_by_type(self, gitlab: GitLab, query: str, count: int) -> None:
        target = f"/gitlab/v1/repositories/list/referred/tags/list/?referrers=true&name_exact=with&{query}"
        (entry,) = json.loads(gitlab.client.request("GET", target).body)
        assert len(entry.get("referrers", ())) == count

    @pytest.mark.usefixtures("referred")
    def test_they_are_asked_for_on_the_next_page_too(self, gitlab: GitLab) -> None:
        response = gitlab.get(
            "repositories/list/referred/tags/list/", n=1, referrers="true", referrer_type="application/vnd.sbom"
        )
        assert link_of(response.headers)["next"].endswith(
            "?last=with&n=1&referrer_type=application%2Fvnd.sbom&referrers=true"
        )
