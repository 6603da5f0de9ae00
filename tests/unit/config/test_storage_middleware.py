"""``middleware.storage``: what is good, what is wrong and where, and what is only worth a word."""

from datetime import timedelta

import pytest

from moorage.config.sections.middleware import CloudFrontOptions, GoogleCdnOptions, RedirectOptions, UrlCacheOptions
from moorage.config.storage_middleware import storage_middleware
from unit.config.reading import mistakes_of, read

FRONT = "baseurl: d1.cloudfront.net, privatekey: /k.pem, keypairid: K1"
GOOGLE = "baseurl: 'http://cdn.example.com/x', privatekey: /k, keyname: my-key"


def text(*entries: str) -> str:
    return f"middleware: {{storage: [{', '.join(entries)}]}}"


def entry(name: str, options: str = "") -> str:
    return f"{{name: {name}, options: {{{options}}}}}"


def test_what_is_not_said_has_the_defaults_of_the_go_registries() -> None:
    found = storage_middleware(read(text(entry("cloudfront", FRONT))).config).cdn
    assert isinstance(found, CloudFrontOptions)
    assert (found.baseurl, found.duration) == ("https://d1.cloudfront.net/", timedelta(minutes=20))
    assert (found.ipfilteredby, found.updatefrequency) == ("none", timedelta(hours=12))
    assert found.iprangesurl == "https://ip-ranges.amazonaws.com/ip-ranges.json"
    google = storage_middleware(read(text(entry("googlecdn", GOOGLE))).config).cdn
    assert isinstance(google, GoogleCdnOptions)
    assert (google.baseurl, google.iprangesurl) == (
        "http://cdn.example.com/x/",
        "https://www.gstatic.com/ipranges/goog.json",
    )
    cache = storage_middleware(read(text(entry("urlcache"))).config).cache
    assert isinstance(cache, UrlCacheOptions)
    assert (cache.min_url_validity, cache.default_url_validity) == (timedelta(minutes=10), timedelta(minutes=20))


def test_every_option_is_read() -> None:
    more = "duration: 5m, ipfilteredby: ' AWSRegion ', awsregion: 'EU-west-1, us-east-1,', updatefrequency: 1h, "
    found = storage_middleware(
        read(text(entry("cloudfront", f"{FRONT}, {more} iprangesurl: 'http://lists/aws'"))).config
    ).cdn
    assert isinstance(found, CloudFrontOptions)
    assert (found.duration, found.ipfilteredby, found.awsregion) == (
        timedelta(minutes=5),
        "awsregion",
        ["eu-west-1", "us-east-1"],
    )
    assert (found.updatefrequency, found.iprangesurl) == (timedelta(hours=1), "http://lists/aws")
    listed = read(text(entry("cloudfront", f"{FRONT}, ipfilteredby: awsregion, awsregion: [eu-west-1]"))).config
    assert isinstance(found := storage_middleware(listed).cdn, CloudFrontOptions)
    assert found.awsregion == ["eu-west-1"]


def test_the_old_spelling_of_the_frequency_counts() -> None:
    loaded = read(text(entry("cloudfront", f"{FRONT}, updatefrenquency: 2h")))
    found = storage_middleware(loaded.config).cdn
    assert isinstance(found, CloudFrontOptions)
    assert (found.updatefrequency, loaded.warnings) == (timedelta(hours=2), ())


def test_the_order_does_not_matter_and_what_is_disabled_is_not_looked_at() -> None:
    wrong = "{name: nonsense, disabled: true}"
    for entries in ((entry("urlcache"), entry("redirect", "baseurl: 'https://a.b/c'"), wrong),):
        for order in (entries, entries[::-1]):
            found = storage_middleware(read(text(*order)).config)
            assert isinstance(found.cdn, RedirectOptions)
            assert found.cache is not None
            assert read(text(*order)).not_implemented == ()


@pytest.mark.parametrize(
    ("given", "path", "message"),
    [
        (entry("clowdfront"), "[0].name", "did you mean cloudfront?"),
        (entry("x"), "[0].name", "there are cloudfront, googlecdn, redirect, urlcache"),
        ("{options: {}}", "[0].name", "there are cloudfront"),
        (entry("redirect"), "[0].options.baseurl", "is needed"),
        (entry("redirect", "baseurl:"), "[0].options.baseurl", "is needed"),
        (entry("redirect", "baseurl: example.com"), "[0].options.baseurl", "a URL is needed"),
        (entry("redirect", "baseurl: 'https://'"), "[0].options.baseurl", "a URL is needed"),
        (entry("redirect", "baseurl: 'https://a/?b=c'"), "[0].options.baseurl", "without a query"),
        (entry("redirect", "baseurl: 'ftp://a'"), "[0].options.baseurl", "a URL is needed"),
        (entry("redirect", "baseurl: [a]"), "[0].options.baseurl", "text is needed"),
        (entry("redirect", "baseurl: 'https://u:p@a'"), "[0].options.baseurl", "a user"),
        (entry("redirect", "baseurl: 'https://a:99999'"), "[0].options.baseurl", "a URL is needed"),
        (entry("cloudfront", f"{FRONT}, duration: 20"), "[0].options.duration", "with its unit"),
        (entry("cloudfront", f"{FRONT}, duration: 0s"), "[0].options.duration", "more than 0"),
        (entry("cloudfront", f"{FRONT}, duration: soon"), "[0].options.duration", "duration"),
        (entry("cloudfront", f"{FRONT}, updatefrequency: -1h"), "[0].options.updatefrequency", "at least 0"),
        (entry("cloudfront", f"{FRONT}, ipfilteredby: gcp"), "[0].options.ipfilteredby", "'awsregion'"),
        (entry("cloudfront", f"{FRONT}, ipfilteredby: awsregion"), "[0].options", "at least one region"),
        (entry("cloudfront", f"{FRONT}, iprangesurl: here"), "[0].options.iprangesurl", "a URL is needed"),
        (
            entry("cloudfront", "baseurl: a.b, privatekey: /k, keypairid: 'a\"b'"),
            "[0].options.keypairid",
            "letters, digits",
        ),
        (entry("cloudfront", "baseurl: 'https://a\"b', privatekey: /k, keypairid: K"), "[0].options.baseurl", "a URL"),
        (entry("googlecdn", f"{GOOGLE}, ipfilteredby: aws"), "[0].options.ipfilteredby", "'gcp'"),
        (entry("googlecdn", "baseurl: a, privatekey: /k"), "[0].options.keyname", "is needed"),
        (entry("urlcache", "min_url_validity: 20m"), "[0].options", "shorter than"),
        (entry("urlcache", "dry_run: maybe"), "[0].options.dry_run", "true or false"),
        (f"{entry('urlcache')}, {entry('urlcache')}", "[1]", "at most one urlcache"),
        (
            f"{entry('cloudfront', FRONT)}, {entry('redirect', 'baseurl: https://a')}",
            "[1]",
            "at most one delivery network",
        ),
    ],
)
def test_a_mistake_stops_the_start_and_has_its_place(given: str, path: str, message: str) -> None:
    found = mistakes_of(f"middleware: {{storage: [{given}]}}")
    assert list(found) == [f"middleware.storage{path}"]
    assert message in found[f"middleware.storage{path}"]


def test_several_mistakes_are_told_at_once() -> None:
    found = mistakes_of(text(entry("cloudfront", "duration: 1"), entry("x")))
    assert set(found) == {
        *(f"middleware.storage[0].options.{key}" for key in ("baseurl", "privatekey", "keypairid", "duration")),
        "middleware.storage[1].name",
    }


def test_an_option_that_nobody_knows_is_a_warning() -> None:
    loaded = read(text(entry("cloudfront", f"{FRONT}, keyparid: X, authtype: none")))
    place = "middleware.storage[0].options"
    assert loaded.warnings == (
        f"{place}.keyparid: unknown key, ignored; did you mean {place}.keypairid?",
        f"{place}.authtype: unknown key, ignored",
    )


def test_options_come_from_the_environment_too() -> None:
    loaded = read(
        "",
        REGISTRY_MIDDLEWARE_STORAGE_0_NAME="urlcache",
        REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_MIN_URL_VALIDITY="1m",
        REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_DRY_RUN="true",
    )
    cache = storage_middleware(loaded.config).cache
    assert cache is not None
    assert (cache.min_url_validity, cache.dry_run) == (timedelta(minutes=1), True)
