"""§ Error Codes, and what RFC 9110 asks of refusals. The codes of each endpoint are beside its other tests too."""

import pytest

from spec.expect import errors_of, refused
from support import images
from support.registry_client import RegistryClient

UNKNOWN_ROUTES = {
    "below-v2": "/v2/nothing-here",
    "manifests": "/v2/a/b/manifests",
    "blobs": "/v2/a/b/blobs",
    "tags": "/v2/a/b/tags",
    "tags-other": "/v2/a/b/tags/other",
    "referrers": "/v2/a/b/referrers",
    "underscore": "/v2/_other",
    "twice": "/v2/v2/",
    "no-name": "/v2/manifests/latest",
    "double-slash": "/v2//manifests/latest",
    "v1": "/v1/_ping",
    "top": "/nothing",
    "favicon": "/favicon.ico",
}

METHODS = {
    "base": ("", {"GET", "HEAD"}),
    "catalogue": ("_catalog", {"GET", "HEAD"}),
    "tags": ("{name}/tags/list", {"GET", "HEAD"}),
    "referrers": ("{name}/referrers/{digest}", {"GET", "HEAD"}),
    "manifests": ("{name}/manifests/latest", {"GET", "HEAD", "PUT", "DELETE"}),
    "blobs": ("{name}/blobs/{digest}", {"GET", "HEAD", "DELETE"}),
    "uploads": ("{name}/blobs/uploads/", {"POST"}),
    "upload": ("{name}/blobs/uploads/{uuid}", {"GET", "HEAD", "PATCH", "PUT", "DELETE"}),
}
ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"]


class TestForm:
    """If the response body is in JSON format, it MUST have the following format: `{"errors": [{"code", "message",
    "detail"}, …]}`. The `code` field MUST be a unique identifier, containing only uppercase alphabetic characters and
    underscores.
    """

    def test_it_is_json_of_that_format(self, registry: RegistryClient, repository: str) -> None:
        response = registry.get_manifest(repository, "latest")
        assert response.status == 404
        assert response.headers["Content-Type"].partition(";")[0] == "application/json"
        assert len(errors_of(response)) == 1

    def test_a_head_request_has_the_status_and_no_body(self, registry: RegistryClient, repository: str) -> None:
        for parts in (("manifests", "latest"), ("blobs", images.EMPTY.digest), ("tags", "list")):
            assert registry.request("HEAD", registry.url(repository, *parts)).status == 404
        assert registry.base().status == 200

    def test_text_of_the_request_comes_back_only_as_json(self, registry: RegistryClient, repository: str) -> None:
        target = registry.url(repository, "manifests", "%3Cscript%3Ealert(1)%3C/script%3E")
        response = registry.request("GET", target)
        assert response.headers["Content-Type"].partition(";")[0] == "application/json"
        refused(response, {400, 404})


class TestCodes:
    """The `code` field MUST be one of the following (code-1 … code-14)."""

    def test_each_refusal_has_its_code(self, registry: RegistryClient, repository: str) -> None:
        images.push_image(registry, repository, "latest")
        unknown = images.missing_digest("codes")
        upload = registry.url(repository, "blobs", "uploads", "")
        refused(registry.get_blob(repository, unknown), 404, "BLOB_UNKNOWN")
        location = registry.start_upload(repository).location
        refused(registry.patch_upload(location, b"x", start=5), 416, "BLOB_UPLOAD_INVALID")
        refused(registry.request("GET", f"{upload}00000000-0000-4000-8000-000000000000"), 404, "BLOB_UPLOAD_UNKNOWN")
        refused(registry.post_blob(repository, unknown, b"x"), 400, "DIGEST_INVALID")
        unmet = images.image_manifest(images.EMPTY, [images.blob("never pushed")])
        refused(
            registry.put_manifest(repository, "x", unmet.body, unmet.media_type), {400, 404}, "MANIFEST_BLOB_UNKNOWN"
        )
        refused(registry.put_manifest(repository, "x", b"{", images.OCI_MANIFEST), 400, "MANIFEST_INVALID")
        refused(registry.get_manifest(repository, "unknown"), 404, "MANIFEST_UNKNOWN")
        refused(registry.start_upload("Upper"), 400, "NAME_INVALID")
        refused(registry.list_tags(f"{repository}/unknown"), 404, "NAME_UNKNOWN")

    def test_a_name_and_a_reference_that_are_both_wrong_are_refused_once(self, registry: RegistryClient) -> None:
        response = registry.get_manifest("Upper", "-bad")
        refused(response, {400, 404})
        assert len(errors_of(response)) == 1


class TestUnknownRoute:
    """What is no endpoint is 404; the form of the error is the same everywhere."""

    @pytest.mark.parametrize("target", UNKNOWN_ROUTES.values(), ids=UNKNOWN_ROUTES)
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    def test_is_404(self, registry: RegistryClient, target: str, method: str) -> None:
        response = registry.request(method, target, raw_target=True)
        assert response.status == 404 or (target.startswith("/v2") and response.status == 400)
        errors_of(response)


class TestMethodNotAllowed:
    """RFC 9110 § 15.5.6: "The origin server MUST generate an Allow header field in a 405 response containing a list
    of the target resource's currently supported methods".
    """

    @pytest.mark.parametrize("name", METHODS)
    @pytest.mark.parametrize("method", ALL_METHODS)
    def test_is_405_with_the_methods_that_are(
        self, registry: RegistryClient, repository: str, name: str, method: str
    ) -> None:
        path, allowed = METHODS[name]
        if method in allowed:
            return
        uuid = "00000000-0000-4000-8000-000000000000"
        target = "/v2/" + path.format(name=repository, digest=images.EMPTY.digest, uuid=uuid)
        response = registry.request(method, target, body=b"")
        assert response.status == 405
        if method != "HEAD":
            refused(response, 405, "UNSUPPORTED")
        assert allowed <= set(response.headers.tokens("Allow"))
        assert method not in response.headers.tokens("Allow")

    def test_outside_of_v2_too(self, registry: RegistryClient) -> None:
        response = registry.request("DELETE", "/")
        assert response.status in {404, 405}
        assert response.status != 405 or "Allow" in response.headers
