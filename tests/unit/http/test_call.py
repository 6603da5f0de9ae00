"""Where a request comes from: the other end, unless that is a proxy on this machine."""

from types import SimpleNamespace
from typing import Any

import pytest

from moorage.http.call import Call
from moorage.http.urls import Urls


def address(remote: str | None, forwarded: str | None) -> str:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    request: Any = SimpleNamespace(remote=remote, headers=headers)
    return Call(request, "id", "/v2/", "", urls=Urls(), common={}).address


@pytest.mark.parametrize(
    ("remote", "forwarded", "found"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("::1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "10.0.0.1, 203.0.113.5,198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "10.0.0.1, ", "127.0.0.1"),
        ("127.0.0.1", "x" * 1000, "x" * 45),
        (None, "198.51.100.7", "198.51.100.7"),
        (None, None, ""),
        ("", None, ""),
    ],
)
def test_what_a_stranger_says_of_himself_is_not_believed(remote: str | None, forwarded: str | None, found: str) -> None:
    assert address(remote, forwarded) == found
