"""Checks in a configuration: what they have to say, and what is said of those that check nothing."""

import pytest

from unit.config.reading import mistakes_of, read


def test_what_gitlabs_package_writes_is_a_check() -> None:
    health = read("health: {storagedriver: {enabled: true, interval: 10s, threshold: 3}}").config.health
    assert (health.storagedriver.enabled, health.storagedriver.threshold) == (True, 3)


def test_variables_have_gos_names() -> None:
    health = read("", REGISTRY_HEALTH_FILECHECKERS_0_FILE="/down").config.health
    assert [check.file for check in health.file] == ["/down"]


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("file: [{interval: 1s}]", "health.file[0].file", "the path of a file is needed"),
        ("http: [{uri: localhost}]", "health.http[0].uri", "a URL"),
        ("http: [{uri: 'http://a:b/'}]", "health.http[0].uri", "a URL"),
        ("tcp: [{addr: redis}]", "health.tcp[0].addr", "host:port is needed"),
        ("tcp: [{addr: 'redis:99999'}]", "health.tcp[0].addr", "host:port is needed"),
        ("file: [{file: /a}, {file: /a}]", "health.file[1].file", "is there twice"),
    ],
)
def test_a_check_of_nothing_is_a_mistake(text: str, path: str, said: str) -> None:
    found = mistakes_of(f"health: {{{text}}}")
    assert list(found) == [path]
    assert said in found[path]
