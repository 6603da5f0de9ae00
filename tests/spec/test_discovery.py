"""§ Content Discovery: tags (end-8a, end-8b) and the catalogue, which the specification leaves to registries."""

from urllib.parse import urlencode

import pytest

from spec.conftest import Configured
from spec.expect import holds_for_every_response, reason_of, refused
from support import images
from support.registry_client import RegistryClient, Response

TAGS = ["0", "1.0", "1.0-rc", "A", "Z", "_", "a", "a.b", "aa", "b"]
"""In byte order."""

HOSTILE_LAST = {
    "unknown": "aaz",
    "odd": "<>&\"'",
    "nul": "\x00",
    "climb": "../..",
    "not-ascii": "é",
    "long": "x" * 3000,
}


def tags_of(response: Response) -> list[str]:
    assert response.status == 200, response
    tags = response.json()["tags"]
    assert isinstance(tags, list)
    return tags


def names_of(response: Response) -> list[str]:
    assert response.status == 200, response
    names = response.json()["repositories"]
    assert isinstance(names, list)
    return names


@pytest.fixture
def tagged(registry: RegistryClient, repository: str) -> str:
    """A repository with all of ``TAGS``, made in another order."""
    pushed = images.push_image(registry, repository)
    for tag in reversed(TAGS):
        images.push_manifest(registry, repository, pushed.manifest, tag)
    return repository


class TestTagList:
    """Assuming a repository is found, this request MUST return a `200 OK` response code. Upon success, the response
    MUST be a json body in the following format: `{"name": "<name>", "tags": [...]}`
    """

    def test_it_has_the_name_and_the_tags_and_nothing_else(self, registry: RegistryClient, tagged: str) -> None:
        response = registry.list_tags(tagged)
        assert response.status == 200
        assert response.headers["Content-Type"].partition(";")[0] == "application/json"
        assert response.json() == {"name": tagged, "tags": TAGS}

    def test_it_is_empty_once_the_last_tag_is_gone(self, registry: RegistryClient, repository: str) -> None:
        """The list of tags MAY be empty if there are no tags on the repository."""
        images.push_image(registry, repository, "only")
        assert registry.delete_manifest(repository, "only").status == 202
        assert registry.list_tags(repository).json() == {"name": repository, "tags": []}

    def test_a_manifest_without_a_tag_is_not_in_it(self, registry: RegistryClient, repository: str) -> None:
        images.push_image(registry, repository)
        assert tags_of(registry.list_tags(repository)) == []

    def test_the_tags_of_a_repository_below_are_not_in_it(self, registry: RegistryClient, repository: str) -> None:
        images.push_image(registry, repository, "mine")
        images.push_image(registry, f"{repository}/below", "theirs")
        assert tags_of(registry.list_tags(repository)) == ["mine"]

    def test_of_an_unknown_repository_it_is_404(self, registry: RegistryClient, repository: str) -> None:
        refused(registry.list_tags(repository), 404, "NAME_UNKNOWN")

    def test_of_a_folder_that_only_leads_to_repositories_it_is_404(
        self, registry: RegistryClient, repository: str
    ) -> None:
        images.push_image(registry, f"{repository}/below", "latest")
        refused(registry.list_tags(repository), 404, "NAME_UNKNOWN")


class TestTagOrder:
    """If the list is not empty, the tags MUST be in lexical (i.e. case-insensitive alphanumeric order) or
    "ASCIIbetical" (Go's `sort.Strings`) order.
    """

    def test_tags_are_in_byte_order(self, registry: RegistryClient, tagged: str) -> None:
        assert tags_of(registry.list_tags(tagged)) == sorted(TAGS)


class TestTagNumber:
    """The response to such a request MAY return fewer than `<int>` results, but only when the total number of tags
    attached to the repository is less than `<int>` or a `Link` header is provided. Otherwise, the response MUST include
    `<int>` results.
    """

    @pytest.mark.parametrize("number", [1, 3, 9])
    def test_a_page_has_that_many_and_leads_to_the_rest(
        self, registry: RegistryClient, tagged: str, number: int
    ) -> None:
        pages = [tags_of(page) for page in registry.pages(registry.list_tags(tagged, n=str(number)))]
        assert [len(page) for page in pages[:-1]] == [number] * (len(pages) - 1)
        assert 0 < len(pages[-1]) <= number
        assert [tag for page in pages for tag in page] == TAGS

    @pytest.mark.parametrize("number", [10, 11, 1000, 1001, 10**6])
    def test_a_page_with_the_last_tag_leads_nowhere(self, registry: RegistryClient, tagged: str, number: int) -> None:
        response = registry.list_tags(tagged, n=str(number))
        assert tags_of(response) == TAGS
        assert response.next_page is None

    def test_without_n_there_are_all(self, registry: RegistryClient, repository: str) -> None:
        tags = [f"t{number:04}" for number in range(1100)]
        pushed = images.push_image(registry, repository)
        for at in range(0, len(tags), 20):
            part = tags[at : at + 20]
            response = registry.put_manifest(
                repository, pushed.digest, pushed.manifest.body, images.OCI_MANIFEST, tags=part
            )
            assert response.status == 201
        response = registry.list_tags(repository)
        assert tags_of(response) == tags
        assert response.next_page is None


class TestTagNumberZero:
    """When `n` is zero, this endpoint MUST return an empty list, and MUST NOT include a `Link` header."""

    def test_of_a_repository_with_tags(self, registry: RegistryClient, tagged: str) -> None:
        for query in ({"n": "0"}, {"n": "0", "last": "A"}):
            response = registry.list_tags(tagged, **query)
            assert response.json() == {"name": tagged, "tags": []}
            assert "Link" not in response.headers


class TestTagLink:
    """If included, the `Link` header MUST be set according to RFC 5988 with the Relation Type `rel="next"`."""

    def test_it_keeps_the_number_and_names_the_last_tag(self, registry: RegistryClient, tagged: str) -> None:
        page = registry.list_tags(tagged, n="4")
        assert page.next_page is not None
        assert "n=4" in page.next_page
        assert "last=A" in page.next_page

    def test_the_next_page_is_right_after_its_last_tag_was_deleted(self, registry: RegistryClient, tagged: str) -> None:
        page = registry.list_tags(tagged, n="4")
        assert registry.delete_manifest(tagged, TAGS[3]).status == 202
        assert page.next_page is not None
        assert tags_of(registry.request("GET", page.next_page)) == TAGS[4:8]


class TestTagLast:
    """A request of this sort will return up to `<int>` tags, beginning non-inclusively with `<tagname>`. When using the
    `last` query parameter, the `n` parameter is OPTIONAL.
    """

    @pytest.mark.parametrize("last", range(10))
    def test_the_tags_after_it_come(self, registry: RegistryClient, tagged: str, last: int) -> None:
        after = TAGS[last + 1 :]
        assert tags_of(registry.list_tags(tagged, last=TAGS[last])) == after
        assert tags_of(registry.list_tags(tagged, last=TAGS[last], n="2")) == after[:2]

    def test_a_tag_that_does_not_exist_has_its_place_in_the_order(self, registry: RegistryClient, tagged: str) -> None:
        assert tags_of(registry.list_tags(tagged, last="B")) == [tag for tag in TAGS if tag > "B"]

    def test_an_empty_one_is_none(self, registry: RegistryClient, tagged: str) -> None:
        assert tags_of(registry.list_tags(tagged, last="")) == TAGS

    @pytest.mark.parametrize("last", HOSTILE_LAST.values(), ids=HOSTILE_LAST)
    def test_any_text_is_a_place_or_refused(self, registry: RegistryClient, tagged: str, last: str) -> None:
        response = registry.list_tags(tagged, last=last, n="5")
        if response.status != 200:
            refused(response, 400)


class TestBadTagNumber:
    """`<int>` is an integer specifying the number of tags requested. GitLab's registry passes over what is none."""

    @pytest.mark.parametrize(
        "number", ["-1", "-9999999999", "a", "abc", "", "1.5", "1e3", "0x10", "1_0", " ", "+", "\u0661", "\x00"]
    )
    def test_what_is_none_is_passed_over(self, registry: RegistryClient, tagged: str, number: str) -> None:
        response = registry.list_tags(tagged, n=number)
        assert (response.status, response.next_page) == (200, None)
        assert tags_of(response) == TAGS

    @pytest.mark.parametrize("number", ["-1", "abc", "", "\u0661"])
    def test_for_referrers_too(self, registry: RegistryClient, tagged: str, number: str) -> None:
        found = registry.request(
            "GET", f"/v2/{tagged}/referrers/{images.missing_digest('n')}?{urlencode({'n': number})}"
        )
        assert (found.status, found.json()["manifests"]) == (200, [])

    def test_a_huge_one_gives_all_tags_or_is_refused(self, registry: RegistryClient, tagged: str) -> None:
        for number in (10**9, 1 << 63, 10**100):
            response = registry.list_tags(tagged, n=str(number))
            assert response.status == 400 or tags_of(response) == TAGS


class TestCatalogue:
    """GitLab V2A-002: `{"repositories": [...]}`; `last` is an exclusive marker; `Link: <…?last=X&n=N>; rel="next"`."""

    @pytest.fixture
    def three(self, registry: RegistryClient, repository: str) -> list[str]:
        names = [f"{repository}/{letter}" for letter in "abc"]
        for name in names:
            images.push_image(registry, name, "latest")
        return names

    def test_repositories_with_a_manifest_are_in_it_and_others_are_not(
        self, registry: RegistryClient, repository: str, three: list[str]
    ) -> None:
        registry.start_upload(f"{repository}/upload-only")
        pages = registry.pages(registry.list_repositories(n="1000"))
        names = [name for page in pages for name in names_of(page)]
        assert set(three) <= set(names)
        assert repository not in names
        assert f"{repository}/upload-only" not in names

    def test_it_is_in_byte_order(self, registry: RegistryClient, repository: str) -> None:
        own = [f"{repository}-x", f"{repository}.x", f"{repository}/x", f"{repository}0x", f"{repository}/x/y"]
        for name in own:
            images.push_image(registry, name, "latest")
        names = [name for page in registry.pages(registry.list_repositories(n="7")) for name in names_of(page)]
        assert names == sorted(names)
        assert len(names) == len(set(names))
        assert [name for name in names if name in own] == sorted(own)

    def test_pages_follow_each_other(self, registry: RegistryClient, repository: str, three: list[str]) -> None:
        page = registry.list_repositories(n="2", last=f"{repository}/0")
        assert names_of(page) == three[:2]
        assert page.next_page is not None
        assert "n=2" in page.next_page
        following = registry.request("GET", page.next_page)
        assert names_of(following)[0] == three[2]

    def test_last_is_not_in_the_page(self, registry: RegistryClient, three: list[str]) -> None:
        assert names_of(registry.list_repositories(n="1", last=three[0])) == [three[1]]

    @pytest.mark.usefixtures("three")
    def test_the_end_leads_nowhere(self, registry: RegistryClient) -> None:
        page = registry.list_repositories(last="z" * 200)
        assert names_of(page) == []
        assert page.next_page is None

    @pytest.mark.usefixtures("three")
    def test_none_wanted_gives_none_and_leads_nowhere(self, registry: RegistryClient) -> None:
        """As for tags (§ Listing Tags): "When `n` is zero, this endpoint MUST return an empty list"."""
        page = registry.list_repositories(n="0")
        assert names_of(page) == []
        assert page.next_page is None

    @pytest.mark.parametrize("number", ["-1", "a", "1.5", "", "\x00", "100"])
    @pytest.mark.usefixtures("three")
    def test_a_bad_number_is_100(self, registry: RegistryClient, number: str) -> None:
        """GitLab V2A-002: "n not a number or <= 0 -> default 100"; 0 itself is none, as for tags."""
        names = names_of(registry.list_repositories(n=number))
        assert names == names_of(registry.list_repositories())
        assert 0 < len(names) <= 100

    def test_more_than_1000_is_refused(self, registry: RegistryClient) -> None:
        """GitLab V2A-002: "n > 1000: 400 PAGINATION_NUMBER_INVALID, detail 'n must be no larger than 1000'"."""
        assert registry.list_repositories(n="1000").status == 200
        for number in (1001, 10**9):
            response = registry.list_repositories(n=str(number))
            refused(response, 400)
            assert reason_of(response) == "PAGINATION_NUMBER_INVALID"
            assert "1000" in response.body.decode()

    @pytest.mark.parametrize("maxentries", [2, 150])
    def test_more_than_the_configured_limit_is_refused(self, configured: Configured, maxentries: int) -> None:
        """`catalog.maxentries` bounds what is asked for, and what comes without a number."""
        daemon = configured(f"catalog: {{maxentries: {maxentries}}}")
        with RegistryClient(daemon.address, observe=holds_for_every_response) as client:
            for letter in "abc":
                images.push_image(client, letter, "latest")
            refused(client.list_repositories(n=str(maxentries + 1)), 400)
            expected = ["a", "b", "c"][:maxentries]
            for page in (client.list_repositories(n=str(maxentries)), client.list_repositories()):
                assert names_of(page) == expected
                assert (page.next_page is None) == (len(expected) == 3)
            assert [name for page in client.pages(client.list_repositories()) for name in names_of(page)] == list("abc")

    def test_more_tags_than_configured_come_in_pages(self, configured: Configured) -> None:
        """`tags.maxtags` of Distribution 3 bounds a page where a number is given, and refuses nobody."""
        daemon = configured("tags: {maxtags: 2}")
        with RegistryClient(daemon.address, observe=holds_for_every_response) as client:
            for tag in "abc":
                images.push_image(client, "group/app", tag)
            first = client.list_tags("group/app", n="100")
            assert first.json()["tags"] == ["a", "b"]
            assert [page.json()["tags"] for page in client.pages(first)] == [["a", "b"], ["c"]]
            assert client.list_tags("group/app").json()["tags"] == ["a", "b", "c"]

    @pytest.mark.parametrize("last", HOSTILE_LAST.values(), ids=HOSTILE_LAST)
    def test_any_last_is_a_place_or_refused(self, registry: RegistryClient, last: str) -> None:
        response = registry.list_repositories(last=last)
        if response.status != 200:
            refused(response, 400)
