"""GitLab's API: what it answers about itself, repositories, sizes and single tags."""

import json
from collections.abc import Iterator

import pytest

from moorage import __version__
from moorage.oci.mediatypes import DOCKER_LIST
from spec.gitlab_v1 import START, GitLab, refusal
from support import images


@pytest.fixture(scope="module")
def gitlab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitLab]:
    with GitLab(tmp_path_factory.mktemp("gitlab")) as made:
        yield made


def layer_bytes(image: images.Image) -> int:
    """What the layers of an image need."""
    _, *layers = image.blobs
    return sum(len(layer.body) for layer in layers)


class TestCompliance:
    """V1A-001, V1A-002: 200 `{}` where the API is there, 404 where it is not; paths end with a slash."""

    def test_the_base_says_which_registry_this_is(self, gitlab: GitLab) -> None:
        response = gitlab.get("")
        assert (response.status, response.body) == (200, b"{}")
        assert response.headers["Gitlab-Container-Registry-Version"] == __version__
        assert "Gitlab-Container-Registry-Features" not in response.headers

    def test_without_a_database_there_is_nothing(self) -> None:
        with GitLab(None) as gitlab:
            for path in ("", "statistics/", "repositories/a/", "repositories/a/tags/list/", "repositories/a"):
                response = gitlab.get(path)
                assert (response.status, response.body) == (404, b""), path
            assert gitlab.rename("a", {"name": "b"}).status == 404

    @pytest.mark.parametrize(
        "path",
        [
            "/gitlab/v1",
            "/gitlab/v1/statistics",
            "/gitlab/v1/repositories/a/b",
            "/gitlab/v1/repositories/a/b/tags/list",
            "/gitlab/v1/repositories/a%2Fb/tags/detail/v1",
            "/gitlab/v1/repository-paths/a/repositories/list",
        ],
    )
    def test_a_path_without_its_slash_leads_to_the_one_with_it(self, gitlab: GitLab, path: str) -> None:
        for query in ("", "?n=2&last=a%20b"):
            for method in ("GET", "HEAD", "PATCH"):
                response = gitlab.client.request(method, f"{path}{query}")
                assert (response.status, response.location) == (301, f"{path}/{query}")

    @pytest.mark.parametrize(
        "path", ["nothing/", "repositories/", "repository-paths/a/", "repositories", "repository-paths/a/list/"]
    )
    def test_other_paths_are_none(self, gitlab: GitLab, path: str) -> None:
        assert gitlab.get(path).status == 404

    @pytest.mark.parametrize("path", ["repositories/A/", "repositories/../x/"])
    def test_a_name_outside_the_grammar_is_refused(self, gitlab: GitLab, path: str) -> None:
        assert refusal(gitlab.get(path))[:2] == (400, "NAME_INVALID")

    def test_a_slash_too_many_leads_to_the_path_without_it(self, gitlab: GitLab) -> None:
        response = gitlab.get("repositories/a//tags/list/")
        assert (response.status, response.headers["Location"]) == (301, "/gitlab/v1/repositories/a/tags/list/")

    def test_other_methods_are_refused(self, gitlab: GitLab) -> None:
        for method, path, allowed in (
            ("PUT", "repositories/a/", {"GET", "HEAD", "PATCH", "OPTIONS"}),
            ("PATCH", "statistics/", {"GET", "HEAD", "OPTIONS"}),
            ("DELETE", "repositories/a/tags/list/", {"GET", "HEAD", "OPTIONS"}),
        ):
            response = gitlab.client.request(method, f"/gitlab/v1/{path}")
            assert (response.status, set(response.headers.tokens("Allow"))) == (405, allowed)

    def test_a_head_has_the_length_of_the_answer_and_no_body(self, gitlab: GitLab) -> None:
        response = gitlab.client.request("HEAD", "/gitlab/v1/")
        assert (response.status, response.headers["Content-Length"]) == (200, "2")


class TestStatistics:
    """V1A-028: release, database; no import, as there was none."""

    def test_it_says_the_version_and_what_there_is(self, gitlab: GitLab) -> None:
        assert gitlab.json("statistics/") == {
            "release": {"ext_features": "tag_delete", "version": f"v{__version__}"},
            "database": {"enabled": True},
        }


class TestRepositoryDetails:
    """V1A-003 to V1A-008."""

    def test_an_unknown_repository_is_404_without_a_detail(self, gitlab: GitLab) -> None:
        for parameters in ({}, {"size": "self"}, {"size": "self_with_descendants"}):
            response = gitlab.get("repositories/unknown/app/", **parameters)
            assert refusal(response)[:2] == (404, "NAME_UNKNOWN")

    def test_it_has_name_path_and_moments_with_milliseconds(self, gitlab: GitLab) -> None:
        gitlab.push("details/group/app", "latest")
        moments = {"created_at": START, "last_published_at": START}
        for column, moment in moments.items():
            gitlab.registry.execute(
                f"UPDATE repositories SET {column} = ? WHERE path = 'details/group/app'",  # noqa: S608 - names of ours
                round(moment.timestamp() * 1_000_000),
            )
        assert gitlab.json("repositories/details/group/app/") == {
            "name": "app",
            "path": "details/group/app",
            "created_at": "2023-02-01T00:00:01.500Z",
            "last_published_at": "2023-02-01T00:00:01.500Z",
        }

    def test_a_repository_that_was_never_published_says_no_moment(self, gitlab: GitLab) -> None:
        gitlab.push("details/unpublished")
        assert "last_published_at" not in gitlab.json("repositories/details/unpublished/")

    @pytest.mark.parametrize("value", ["all", "SELF", "self,descendants", "%"])
    def test_another_size_is_refused(self, gitlab: GitLab, value: str) -> None:
        status, code, detail = refusal(gitlab.get("repositories/details/group/app/", size=value))
        assert (status, code) == (400, "INVALID_QUERY_PARAMETER_VALUE")
        assert detail == {"parameter": "size", "values": ["self", "self_with_descendants"]}

    def test_an_empty_size_is_none(self, gitlab: GitLab) -> None:
        gitlab.push("details/empty")
        assert "size_bytes" not in gitlab.json("repositories/details/empty/", size="")

    def test_a_size_is_that_of_the_layers_and_follows_every_change(self, gitlab: GitLab) -> None:
        def sizes() -> tuple[int, int]:
            found = [gitlab.json("repositories/size/app/", size=f"self{more}") for more in ("", "_with_descendants")]
            assert {item["size_precision"] for item in found} == {"default"}
            return found[0]["size_bytes"], found[1]["size_bytes"]

        first = gitlab.push("size/app", "1", "2")
        layers = layer_bytes(first)
        assert sizes() == (layers, layers)
        second = gitlab.push("size/app/below", "1", seed="other")
        more = layer_bytes(second)
        assert sizes() == (layers, layers + more)
        assert gitlab.client.delete_manifest("size/app", "1").status == 202
        assert sizes() == (layers, layers + more)
        assert gitlab.client.delete_manifest("size/app", "2").status == 202
        assert sizes() == (0, more)

    def test_a_path_above_repositories_has_a_size_and_no_moments(self, gitlab: GitLab) -> None:
        made = gitlab.push("above/group/app", "1")
        expected = layer_bytes(made)
        assert gitlab.json("repositories/above/group/", size="self_with_descendants") == {
            "name": "group",
            "path": "above/group",
            "size_bytes": expected,
            "size_precision": "default",
        }
        nothing = gitlab.json("repositories/above/nothing/here/", size="self_with_descendants")
        assert (nothing["name"], nothing["size_bytes"]) == ("here", 0)
        assert refusal(gitlab.get("repositories/above/group/", size="self"))[:2] == (404, "NAME_UNKNOWN")


class TestTagDetails:
    """V1A-009."""

    def test_an_image_has_its_configuration_and_platform(self, gitlab: GitLab) -> None:
        made = gitlab.push("tag/app", "latest")
        gitlab.set_moments("tag/app", "latest", 0, 1)
        config = made.blobs[0]
        found = gitlab.json("repositories/tag/app/tags/detail/latest/")
        assert found["image"].pop("size_bytes") == len(made.manifest.body) + len(config.body) + layer_bytes(made)
        assert found == {
            "repository": "tag/app",
            "name": "latest",
            "image": {
                "manifest": {"digest": made.manifest.digest, "media_type": made.manifest.media_type},
                "config": {
                    "digest": config.digest,
                    "media_type": config.media_type,
                    "platform": {"architecture": "amd64", "os": "linux"},
                },
            },
            "created_at": "2023-02-01T00:00:01.500Z",
            "updated_at": "2023-02-01T00:00:02.500Z",
            "published_at": "2023-02-01T00:00:02.500Z",
        }

    @pytest.mark.parametrize("media_type", [images.OCI_INDEX, DOCKER_LIST])
    def test_an_index_has_its_images(self, gitlab: GitLab, media_type: str) -> None:
        name = f"tag/index-{len(media_type)}"
        made = [gitlab.push(name, seed=seed) for seed in (1, 2)]
        whole = images.index([image.manifest for image in made], media_type=media_type)
        images.push_manifest(gitlab.client, name, whole, "all")
        image = gitlab.json(f"repositories/{name}/tags/detail/all/")["image"]
        assert image["manifest"]["digest"] == whole.digest
        assert "config" not in image
        references = image["manifest"]["references"]
        assert [child["manifest"]["digest"] for child in references] == [child.manifest.digest for child in made]
        assert {child["config"]["platform"]["architecture"] for child in references} == {"amd64"}

    def test_what_is_not_there_is_404(self, gitlab: GitLab) -> None:
        gitlab.push("tag/known", "a")
        response = gitlab.get("repositories/tag/unknown/tags/detail/a/")
        assert refusal(response) == (404, "NAME_UNKNOWN", {"name": "tag/unknown"})
        response = gitlab.get("repositories/tag/known/tags/detail/b/")
        assert refusal(response) == (404, "TAG_UNKNOWN", {"tagName": "b"})

    @pytest.mark.parametrize("tag", [".hidden", "-v", "a%20b", "%C3%A9", "a" * 129, "a:b"])
    def test_a_tag_outside_the_grammar_is_refused(self, gitlab: GitLab, tag: str) -> None:
        assert refusal(gitlab.get(f"repositories/tag/known/tags/detail/{tag}/"))[:2] == (400, "TAG_INVALID")


class TestRepositoriesUnderAPath:
    """V1A-019."""

    def test_they_are_listed_with_links_to_the_next_page(self, gitlab: GitLab) -> None:
        for path in ("under/app", "under/app/a", "under/app/b/c", "under/app-x", "under/app.y"):
            gitlab.push(path, "latest")
        gitlab.push("under/app/untagged")
        path = "repository-paths/under/app/repositories/list/"
        whole = gitlab.json(path)
        assert [item["path"] for item in whole] == ["under/app", "under/app/a", "under/app/b/c"]
        assert [set(item) for item in whole] == [{"name", "path", "created_at"}] * 3
        first = gitlab.get(path, n=2)
        expected = f'</gitlab/v1/{path}?last=under%2Fapp%2Fa&n=2>; rel="next"'
        assert first.headers["Link"] == expected
        second = gitlab.get(path, n=2, last="under/app/a")
        assert [item["name"] for item in json.loads(second.body)] == ["c"]
        assert "Link" not in second.headers

    def test_a_page_that_is_just_full_has_a_link_too(self, gitlab: GitLab) -> None:
        gitlab.push("full/app", "latest")
        assert "Link" in gitlab.get("repository-paths/full/app/repositories/list/", n=1).headers

    def test_an_unknown_namespace_is_404_and_an_unknown_path_below_one_is_empty(self, gitlab: GitLab) -> None:
        gitlab.push("known/app", "latest")
        response = gitlab.get("repository-paths/unknown/app/repositories/list/")
        assert refusal(response) == (404, "NAME_UNKNOWN", {"namespace": "unknown"})
        assert gitlab.json("repository-paths/known/nothing/repositories/list/") == []

    @pytest.mark.parametrize("last", ["", "/", "%", "a\0b"])
    def test_a_place_without_any_letter_is_refused(self, gitlab: GitLab, last: str) -> None:
        response = gitlab.get("repository-paths/known/app/repositories/list/", last=last)
        assert refusal(response)[:2] == (400, "INVALID_QUERY_PARAMETER_VALUE")
