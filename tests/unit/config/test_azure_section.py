"""What does not fit together in ``storage.azure`` stops the start, each thing with its path; secrets are not told."""

import pytest

from moorage.config import AzureSection, load
from moorage.storage.azure.container import ContainerPlace

KEY = "a2V5"
SECRET = "c2VjcmV0"
CONNECTION = f"DefaultEndpointsProtocol=https;AccountName=images;AccountKey={KEY};EndpointSuffix=core.windows.net"
SHARED = f"accountname: images, accountkey: {KEY}, container: images"
TOKENS = "accountname: images, container: images"


def refused(keys: str, name: str = "azure") -> dict[str, str]:
    loaded = load(f"version: 0.1\nstorage: {{{name}: {{{keys}}}}}", {})
    assert all(SECRET not in mistake.message and KEY not in mistake.message for mistake in loaded.refused)
    return {mistake.path: mistake.message for mistake in loaded.refused}


def section(keys: str) -> AzureSection:
    driver = load(f"version: 0.1\nstorage: {{azure: {{{keys}}}}}", {}).config.storage.driver
    assert isinstance(driver, AzureSection)
    return driver


@pytest.mark.parametrize(
    "keys",
    [
        SHARED,
        f"{SHARED}, credentials_type: shared_key, trimlegacyrootprefix: true, legacyrootprefix: false",
        f"{SHARED}, trimlegacyrootprefix: false, legacyrootprefix: true",
        f"container: images, connectionstring: '{CONNECTION}'",
        f"{SHARED}, connectionstring: '{CONNECTION}'",
        f"{TOKENS}, credentials_type: default_credentials",
        f"{TOKENS}, credentials_type: client_secret, tenant_id: t, client_id: c, secret: {SECRET}",
        f"{TOKENS}, credentials: {{type: client_secret, tenantid: t, clientid: c, secret: {SECRET}}}",
        f"{TOKENS}, credentials: {{type: default_credentials}}",
        "container: images, serviceurl: 'https://images.blob.core.windows.net', credentials_type: default_credentials",
        f"{SHARED}, debug_log: true, debug_log_events: 'request,Retry'",
    ],
)
def test_what_fits_together_is_taken(keys: str) -> None:
    assert refused(keys) == {}


@pytest.mark.parametrize(
    ("keys", "key", "words"),
    [
        ("container: images", "accountname", "is needed"),
        ("accountname: images, container: images", "accountkey", "is needed with shared_key"),
        (f"{TOKENS}, accountkey: 'no base64!'", "accountkey", "in base64"),
        (
            f"{SHARED}, trimlegacyrootprefix: true, legacyrootprefix: true",
            "trimlegacyrootprefix",
            "cannot both be true",
        ),
        (f"{SHARED}, trimlegacyrootprefix: 'false', legacyrootprefix: false", "trimlegacyrootprefix", "both be false"),
        (f"{SHARED}, credentials_type: default_credentials", "accountkey", "is not used with default_credentials"),
        (f"{TOKENS}, credentials_type: client_secret, tenant_id: t, client_id: c", "secret", "with client_secret"),
        ("container: images, credentials_type: default_credentials", "accountname", "unless there is a serviceurl"),
        (f"{TOKENS}, credentials: {{type: certificate}}", "credentials.type", "shared_key, client_secret or"),
        (f"{SHARED}, credentials: {{password: {SECRET}}}", "credentials", "none of type, tenantid"),
        (
            f"{TOKENS}, credentials_type: default_credentials, credentials: {{type: client_secret}}",
            "credentials.type",
            "another thing than credentials_type",
        ),
        ("container: images, connectionstring: AccountName=images", "connectionstring", "lacks AccountKey"),
        (
            f"container: images, connectionstring: 'AccountName=images;SharedAccessSignature={SECRET}'",
            "connectionstring",
            "one with AccountKey is needed",
        ),
        (
            f"container: images, accountname: others, connectionstring: '{CONNECTION}'",
            "connectionstring",
            "another AccountName",
        ),
    ],
)
def test_what_does_not_fit_together_stops_the_start(keys: str, key: str, words: str) -> None:
    for name in ("azure", "azure_v2"):
        found = refused(keys, name)
        assert words in found[f"storage.{name}.{key}"]


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("", "https://images.blob.core.windows.net/images"),
        (", realm: core.chinacloudapi.cn", "https://images.blob.core.chinacloudapi.cn/images"),
        (", serviceurl: 'http://127.0.0.1:10000/images'", "http://127.0.0.1:10000/images/images"),
    ],
)
def test_a_container_is_in_the_cloud_that_its_realm_names(given: str, url: str) -> None:
    assert ContainerPlace.of(section(f"{SHARED}{given}")).url == url


@pytest.mark.parametrize(
    ("given", "is_legacy"),
    [
        ("", False),
        (", trimlegacyrootprefix: true", False),
        (", trimlegacyrootprefix: false", True),
        (", legacyrootprefix: true", True),
        (", legacyrootprefix: false", False),
        (", legacyrootprefix: true, trimlegacyrootprefix: false", True),
    ],
)
def test_keys_begin_with_a_slash_where_they_are_old(given: str, is_legacy: bool) -> None:  # noqa: FBT001 - a parameter
    assert section(f"{SHARED}{given}").is_legacy is is_legacy
