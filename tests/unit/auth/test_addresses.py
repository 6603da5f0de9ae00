"""Addresses: which are this machine, and which are counted as one."""

import pytest

from moorage.auth.addresses import is_loopback, network_of


@pytest.mark.parametrize("host", ["127.0.0.1", "127.5.5.5", "::1", "::ffff:127.0.0.1", "::FFFF:7f00:1", "localhost"])
def test_the_loopback_is_known_in_every_form(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "192.0.2.1", "::", "::ffff:192.0.2.1", "0.0.0.0", "127.0.0.1.example", "localhost.example", "127.1"],
)
def test_nothing_else_is_the_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_who_is_counted_as_one(address: str, found: str) -> None:
    assert network_of(address) == found
