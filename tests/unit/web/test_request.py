"""Where a request comes from: the other end, unless that is a proxy on this machine."""

from types import SimpleNamespace
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from moorage.web.request import Request


def address(remote: str | None, *forwarded: str) -> str:
    """By so many lines of ``X-Forwarded-For``."""
    headers = CIMultiDictProxy(CIMultiDict([("X-Forwarded-For", line) for line in forwarded]))
    request: Any = SimpleNamespace(remote=remote, headers=headers)
    return Request(request, "id", "/v2/", "", common={}).address


@pytest.mark.parametrize(
    ("remote", "forwarded", "found"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("::1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "10.0.0.1, 203.0.113.5,198.51.100.7", "198.51.100.7"),
        ("127.0.0.2", "198.51.100.7", "198.51.100.7"),
        ("::ffff:127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("::ffff:192.0.2.1", "198.51.100.7", "::ffff:192.0.2.1"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "10.0.0.1, ", "127.0.0.1"),
        ("127.0.0.1", "x" * 1000, "x" * 45),
        (None, "198.51.100.7", "198.51.100.7"),
        (None, None, ""),
        ("", None, ""),
    ],
)
def test_what_a_stranger_says_of_himself_is_not_believed(remote: str | None, forwarded: str | None, found: str) -> None:
    assert address(remote, *([] if forwarded is None else [forwarded])) == found


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("203.0.113.5", "198.51.100.7"), "198.51.100.7"),
        (("203.0.113.5, 10.0.0.1", "10.0.0.2, 198.51.100.7"), "198.51.100.7"),
        (("203.0.113.5", ""), "127.0.0.1"),
    ],
)
def test_of_several_lines_the_last_is_the_proxys(lines: tuple[str, ...], found: str) -> None:
    """HAProxy's ``option forwardfor`` adds a line of its own behind the client's."""
    assert address("127.0.0.1", *lines) == found
