"""From the configuration to where a client is sent for a blob; and what is told before anybody else finds out."""

import base64
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from prometheus_client import CollectorRegistry

from moorage.config import Config
from moorage.config.load import load
from moorage.errors import ConfigurationError
from moorage.metrics.meters import Meters
from moorage.metrics.node_metrics import PartMetrics
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.storage.egress import UNTOLD, Egress
from moorage.storage.memory import MemoryDriver
from moorage.wiring.redirects import redirect_concerns, redirects_of
from support.signing_bucket import SigningBucket
from support.tokens import rsa_key

NAME, DIGEST = RepositoryName("group/app"), Digest.of(b"layer")
KEY = "/docker/registry/v2/blobs/sha256/" + f"{DIGEST.encoded[:2]}/{DIGEST.encoded}/data"
S3 = "s3: {region: r, bucket: b, rootdirectory: /my/root/}"
GCS = "gcs: {bucket: b}"


def config(storage: str, middleware: str = "", *, redirect: str = "") -> Config:
    common = f", redirect: {{{redirect}}}" if redirect else ""
    return load(f"version: 0.1\nstorage: {{{storage}{common}}}\nmiddleware: {{storage: [{middleware}]}}\n", {}).config


@pytest.fixture
def front(tmp_path: Path) -> str:
    (tmp_path / "front.pem").write_bytes(
        rsa_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    return f"baseurl: cdn.example.com, privatekey: {tmp_path / 'front.pem'}, keypairid: K1"


@pytest.fixture
def google(tmp_path: Path) -> str:
    (tmp_path / "google").write_bytes(base64.urlsafe_b64encode(b"k" * 16))
    return f"baseurl: 'https://cdn.example.com/x', privatekey: {tmp_path / 'google'}, keyname: my-key"


async def url(found: Config, bucket: SigningBucket | None = None, *, name: RepositoryName = NAME) -> str | None:
    redirects = redirects_of(found, bucket or SigningBucket()).redirects
    return None if redirects is None else await redirects.url_for(name, DIGEST, address="192.0.2.1")


async def test_a_storage_that_signs_is_where_clients_are_sent() -> None:
    bucket = SigningBucket()
    sent = await url(config("inmemory: {}", redirect="expirydelay: 1h"), bucket)
    assert sent is not None
    assert urlsplit(sent).path == KEY


@pytest.mark.parametrize("delay", ["0", "0s", "20m"])
async def test_urls_without_a_delay_are_good_for_twenty_minutes(delay: str) -> None:
    asked: list[int] = []

    class Asked(SigningBucket):
        async def url_for(self, path: str, *, expires_s: int, egress: Egress = UNTOLD) -> str | None:
            asked.append(expires_s)
            return await super().url_for(path, expires_s=expires_s, egress=egress)

    assert await url(config("inmemory: {}", redirect=f"expirydelay: {delay}"), Asked()) is not None
    assert asked == [1200]


async def test_nobody_is_sent_anywhere_where_it_is_switched_off_or_nothing_signs(front: str) -> None:
    for middleware in ("", f"{{name: cloudfront, options: {{{front}}}}}"):
        assert redirects_of(config(S3, middleware, redirect="disable: true"), SigningBucket()).redirects is None
    assert redirects_of(config("inmemory: {}"), MemoryDriver()).redirects is None


async def test_exceptions_are_found_anywhere_in_the_name() -> None:
    found = config("inmemory: {}", redirect="exceptions: ['^gitlab-org', 'internal/']")
    for name, is_sent in (("gitlab-org/a", False), ("x/internal/a", False), ("a/gitlab-org", True), ("b", True)):
        assert (await url(found, name=RepositoryName(name)) is not None) == is_sent


async def test_cloudfront_has_the_key_of_the_bucket_behind_its_base(front: str) -> None:
    sent = await url(config(S3, f"{{name: cloudfront, options: {{{front}}}}}"))
    assert sent is not None
    assert sent.partition("?")[0] == f"https://cdn.example.com/my/root{KEY}"
    assert set(parse_qs(urlsplit(sent).query)) == {"Expires", "Signature", "Key-Pair-Id"}


async def test_google_has_the_key_of_the_bucket_behind_its_base(google: str) -> None:
    sent = await url(config(GCS, f"{{name: googlecdn, options: {{{google}}}}}"))
    assert sent is not None
    assert sent.partition("?")[0] == f"https://cdn.example.com/x{KEY}"
    assert list(parse_qs(urlsplit(sent).query)) == ["URLPrefix", "Expires", "KeyName", "Signature"]


async def test_a_fixed_host_needs_no_storage_that_signs() -> None:
    found = config("inmemory: {}", "{name: redirect, options: {baseurl: 'https://files.example.com/x/'}}")
    redirects = redirects_of(found, MemoryDriver()).redirects
    assert redirects is not None
    assert await redirects.url_for(NAME, DIGEST, address="") == f"https://files.example.com/x{KEY}"


async def test_a_network_for_another_vendor_has_no_effect_and_says_so(front: str, google: str) -> None:
    for storage, middleware in (
        (GCS, f"{{name: cloudfront, options: {{{front}}}}}"),
        (S3, f"{{name: googlecdn, options: {{{google}}}}}"),
        ("inmemory: {}", f"{{name: cloudfront, options: {{{front}}}}}"),
    ):
        found = config(storage, middleware)
        sent = await url(found)
        assert sent is not None
        assert sent.startswith("http://127.0.0.1")
        (said,) = redirect_concerns(found)
        assert said.startswith("middleware.storage[0]: ")
        assert "has no effect" in said


async def test_an_rsa_signature_is_used_again_unless_it_is_switched_off(
    front: str,
) -> None:
    clock = [1000.0]
    cloudfront = f"{{name: cloudfront, options: {{{front}}}}}"
    for cache, kept_s in (
        ("", 600),
        ("{name: urlcache, options: {min_url_validity: 5m}}", 900),
        ("{name: urlcache, options: {dry_run: true}}", 0),
    ):
        found = config(S3, f"{cloudfront}, {cache}")
        redirects = redirects_of(found, SigningBucket(), now=lambda: clock[0]).redirects
        assert redirects is not None
        first = await redirects.url_for(NAME, DIGEST, address="")
        clock[0] += max(1, kept_s - 1)
        assert (await redirects.url_for(NAME, DIGEST, address="") == first) == (kept_s > 0)
        clock[0] += 2
        assert await redirects.url_for(NAME, DIGEST, address="") != first


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file or directory"), (b"no key", "is no private key in PEM"), (b"", "is no private key in PEM")],
)
def test_a_key_that_cannot_be_used_stops_the_start(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    found = config(S3, f"{{name: cloudfront, options: {{baseurl: a.b, privatekey: {path}, keypairid: K}}}}")
    for use in (lambda: list(redirect_concerns(found)), lambda: redirects_of(found, SigningBucket())):
        with pytest.raises(ConfigurationError) as refused:
            use()
        (mistake,) = refused.value.mistakes
        assert mistake.path == "middleware.storage[0].options.privatekey"
        assert str(path) in mistake.message
        assert why in mistake.message


def test_what_has_no_effect_is_said(front: str) -> None:
    middleware = f"{{name: cloudfront, options: {{{front}}}}}"
    (off,) = redirect_concerns(config(S3, middleware, redirect="disable: true"))
    assert "storage.redirect.disable" in off
    cache = "{name: urlcache, options: {min_url_validity: 20m, default_url_validity: 1h}}"
    (unkept,) = redirect_concerns(config(S3, f"{middleware}, {cache}"))
    assert "no URL is kept" in unkept
    assert list(redirect_concerns(config(S3, middleware))) == []


def test_networks_are_only_read_where_they_are_asked_for(front: str) -> None:
    for options, count in ((front, 0), (f"{front}, ipfilteredby: none", 0), (f"{front}, ipfilteredby: aws", 1)):
        parts = redirects_of(config(S3, f"{{name: cloudfront, options: {{{options}}}}}"), SigningBucket())
        assert len(parts.upkeep) == count


async def test_clients_of_a_network_are_counted_as_gitlabs_registry_counts_them(google: str) -> None:
    registry = CollectorRegistry()
    found = config(GCS, f"{{name: googlecdn, options: {{{google}, ipfilteredby: gcp}}}}")
    sent = PartMetrics(Meters(registry), driver="gcs").sent_on
    redirects = redirects_of(found, SigningBucket(), on_sent=sent).redirects
    assert redirects is not None
    assert await redirects.url_for(NAME, DIGEST, address="192.0.2.1") is not None
    sent("gcp")
    for labels in (
        {"backend": "cdn", "bypass": "false", "bypass_reason": ""},
        {"backend": "gcs", "bypass": "true", "bypass_reason": "gcp"},
    ):
        assert registry.get_sample_value("registry_storage_cdn_redirects_total", labels) == 1
