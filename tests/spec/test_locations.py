"""Location: "the location MAY be absolute … or it MAY be relative". Absolute by default, as behind HTP-009."""

import pytest

from spec.conftest import Configured
from support import images
from support.daemon import Daemon
from support.registry_client import HeaderPairs, RegistryClient

SEEN_AS: dict[str, tuple[HeaderPairs, str]] = {
    "host": ({"Host": "registry.example.org"}, "http://registry.example.org"),
    "host-with-port": ({"Host": "registry.example.org:5050"}, "http://registry.example.org:5050"),
    "ipv6": ({"Host": "[2001:db8::1]:5000"}, "http://[2001:db8::1]:5000"),
    "proto": ({"Host": "a.example", "X-Forwarded-Proto": "https"}, "https://a.example"),
    "forwarded-host": ({"Host": "inner", "X-Forwarded-Host": "outer.example"}, "http://outer.example"),
    "both": (
        {"Host": "inner", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "outer.example:8443"},
        "https://outer.example:8443",
    ),
    "first-of-several": (
        {"Host": "inner", "X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "outer.example, middle"},
        "https://outer.example",
    ),
    "rfc7239": (
        {"Host": "inner", "Forwarded": "for=192.0.2.1;proto=https;host=outer.example"},
        "https://outer.example",
    ),
    "rfc7239-quoted": (
        {"Host": "inner", "Forwarded": 'Host="outer.example:5050";Proto=https, host=middle;proto=http'},
        "https://outer.example:5050",
    ),
}

HOSTILE: dict[str, HeaderPairs] = {
    "proto": {"X-Forwarded-Proto": "javascript"},
    "host-with-path": {"X-Forwarded-Host": "evil.example/path?x="},
    "host-with-markup": {"X-Forwarded-Host": '"><script>'},
    "host-with-user": {"X-Forwarded-Host": "user@evil.example"},
    "forwarded": {"Forwarded": 'host="<>";proto="x y"'},
    "forwarded-broken": {"Forwarded": ';;==,"'},
    "long": {"X-Forwarded-Host": "h" * 4000},
}


def locations(client: RegistryClient, repository: str, headers: HeaderPairs = ()) -> dict[str, str]:
    """Each kind of Location that a registry sends, by where it comes from."""
    pushed = images.push_image(client, repository)
    layer = images.blob(f"{repository} location")
    started = client.start_upload(repository, headers=headers)
    body, media_type = pushed.manifest.body, pushed.manifest.media_type
    patched = client.request("PATCH", started.location, body=layer.body, headers=headers)
    status = client.request("GET", patched.location, headers=headers)
    closed = client.request(
        "PUT",
        status.location + ("&" if "?" in status.location else "?") + f"digest={layer.digest}",
        headers=headers,
    )
    return {
        "post": started.location,
        "patch": patched.location,
        "get": status.location,
        "put": closed.location,
        "mount": client.start_upload(repository, {"mount": layer.digest, "from": repository}, headers=headers).location,
        "manifest": client.put_manifest(repository, "latest", body, media_type, headers=headers).location,
    }


class TestAbsolute:
    """Optionally, the location MAY be absolute (containing the protocol and/or hostname). HTP-009:
    `X-Forwarded-Proto` / `X-Forwarded-Host` (first value) or RFC 7239 `Forwarded`, else request `Host`.
    """

    def test_it_is_where_the_client_called(
        self, registry: RegistryClient, repository: str, shared_daemon: Daemon
    ) -> None:
        for kind, location in locations(registry, repository).items():
            assert location.startswith(f"{shared_daemon.url}/v2/{repository}/"), kind

    @pytest.mark.parametrize("name", SEEN_AS)
    def test_it_is_where_the_proxy_was_called(self, registry: RegistryClient, repository: str, name: str) -> None:
        headers, expected = SEEN_AS[name]
        for kind, location in locations(registry, repository, headers).items():
            assert location.startswith(f"{expected}/v2/{repository}/"), kind

    @pytest.mark.parametrize("headers", HOSTILE.values(), ids=HOSTILE)
    def test_what_is_no_host_does_not_come_back(
        self, registry: RegistryClient, repository: str, headers: HeaderPairs
    ) -> None:
        response = registry.start_upload(repository, headers=headers)
        assert response.status in {202, 400}
        if response.status == 202:
            assert response.location.startswith(("http://", "https://", "/"))
            assert not set(response.location) & set('<>" @')
            assert response.location.partition("?")[0].count("/v2/") == 1


class TestConfiguredHost:
    """CFH-003: `http.host`: the external URL used when building Location URLs; overrides forwarded headers."""

    def test_it_is_used_whatever_the_client_says(self, configured: Configured, repository: str) -> None:
        daemon = configured("http: {host: 'https://registry.example.org:5050'}")
        with RegistryClient(daemon.address) as client:
            for headers, _ in SEEN_AS.values():
                for kind, location in locations(client, repository, headers).items():
                    assert location.startswith(f"https://registry.example.org:5050/v2/{repository}/"), kind


class TestRelative:
    """… or it MAY be relative (containing just the URL path). CFH-006: `http.relativeurls`."""

    def test_it_is_a_path_and_still_works(self, configured: Configured, repository: str) -> None:
        daemon = configured("http: {relativeurls: true}")
        with RegistryClient(daemon.address) as client:
            for headers in ({}, {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "outer.example"}):
                for kind, location in locations(client, repository, headers).items():
                    assert location.startswith(f"/v2/{repository}/"), kind


class TestPrefix:
    """CFH-004: `http.prefix`: path prefix for all routes; must start and end with a slash."""

    def test_everything_is_below_it(self, configured: Configured, repository: str) -> None:
        daemon = configured("http: {prefix: /some/prefix/}")
        with RegistryClient(daemon.address, prefix="/some/prefix/") as client:
            assert client.base().status == 200
            for kind, location in locations(client, repository).items():
                assert location.startswith(f"{daemon.url}/some/prefix/v2/{repository}/"), kind
            pushed = images.push_image(client, repository, "another")
            assert client.get_manifest(repository, "another").body == pushed.manifest.body
            page = client.list_tags(repository, n="1")
            assert [len(client.request("GET", page.next_page or "").json()), page.status] == [2, 200]
            assert client.request("GET", "/v2/").status == 404
            assert client.request("GET", "/").status == 200
