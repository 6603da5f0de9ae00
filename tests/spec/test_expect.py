"""``Expect``: what the registry cannot do for a client does not end its push. Source: RFC 9110 § 10.1.1."""

import pytest

from spec.wire import Wire, head
from support import images
from support.registry_client import RegistryClient, path_of

BLOB = images.blob("expected", 2_000)
UNKNOWN = ["nonsense", "100-continue-please", "", "200-ok, x=1"]


def started(registry: RegistryClient, repository: str) -> str:
    return path_of(registry.start_upload(repository).location)


@pytest.mark.parametrize("expectation", UNKNOWN)
def test_an_unknown_expectation_is_passed_over(registry: RegistryClient, repository: str, expectation: str) -> None:
    target = started(registry, repository)
    with Wire(registry.address) as wire:
        wire.send(head("PATCH", target, f"Expect: {expectation}", f"Content-Length: {len(BLOB.body)}") + BLOB.body)
        response = wire.read("PATCH")
    assert response is not None
    assert response.status == 202
    assert registry.close_upload(target, BLOB.digest).status == 201


@pytest.mark.parametrize(
    "lines",
    [
        ["Expect: 100-continue"],
        ["Expect: 100-CONTINUE"],
        ["Expect: x, 100-continue"],
        ["Expect: x", "expect: 100-continue"],
    ],
    ids=["alone", "capitals", "in a list", "in a second header"],
)
def test_a_client_that_waits_is_told_to_go_on(registry: RegistryClient, repository: str, lines: list[str]) -> None:
    target = started(registry, repository)
    with Wire(registry.address) as wire:
        wire.send(head("PATCH", target, *lines, f"Content-Length: {len(BLOB.body)}"))
        assert wire.read_line() == b"HTTP/1.1 100 Continue\r\n"
        assert wire.read_line() == b"\r\n"
        wire.send(BLOB.body)
        response = wire.read("PATCH")
    assert response is not None
    assert response.status == 202


def test_one_whose_body_is_not_wanted_is_told_at_once(registry: RegistryClient, repository: str) -> None:
    target = f"/v2/{repository}/blobs/uploads/00000000-0000-4000-8000-000000000000"
    with Wire(registry.address) as wire:
        wire.send(head("PATCH", target, "Expect: 100-continue", "Content-Length: 1000000000"))
        assert wire.read_line().startswith(b"HTTP/1.1 404 ")


def test_a_mount_with_an_expectation_is_answered(registry: RegistryClient, repository: str) -> None:
    target = f"/v2/{repository}/blobs/uploads/?mount=nonsense&from=NO"
    with Wire(registry.address) as wire:
        wire.send(head("POST", target, "Expect: 100-continue", "Content-Length: 0"))
        assert wire.read_line().startswith(b"HTTP/1.1 202 ")


def test_a_state_that_nobody_signed_does_not_end_a_push(registry: RegistryClient, repository: str) -> None:
    for state in ("nonsense", "%00", "A" * 1000, "%F0%9F%90%B3", "&_state=x"):
        target = started(registry, repository).partition("?")[0]
        assert registry.patch_upload(f"{target}?_state={state}", BLOB.body, start=0).status == 202
        closed = registry.request("PUT", f"{target}?digest={BLOB.digest}&_state={state}")
        assert closed.status == 201
