"""Places of images: where Docker Hub's really are, and under which name its credentials are kept."""

import base64
import json
from pathlib import Path

import pytest

from moorage.client.docker_config import LoginFiles
from moorage.client.places import found_place, is_host_alone, is_same_registry, login_name_of, read_place, repository_in

HUB = "https://registry-1.docker.io"


@pytest.mark.parametrize(
    ("text", "url", "repository"),
    [
        ("docker.io/alpine:3", HUB, "library/alpine"),
        ("docker.io/moby/buildkit", HUB, "moby/buildkit"),
        ("index.docker.io/alpine", HUB, "library/alpine"),
        ("registry.example/alpine", "https://registry.example", "alpine"),
    ],
)
def test_docker_hub_is_where_docker_finds_it(text: str, url: str, repository: str) -> None:
    found = found_place(read_place(text))
    assert (found.url, found.repository) == (url, repository)


def test_the_credentials_of_docker_hub_are_found_where_docker_keeps_them(tmp_path: Path) -> None:
    auth = base64.b64encode(b"ada:s3cr3t").decode()
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": auth}}}))
    login = LoginFiles((file,), {}).find(login_name_of(HUB))
    assert login is not None
    assert (login.username, login.password) == ("ada", "s3cr3t")


@pytest.mark.parametrize(
    ("text", "is_host"),
    [
        ("localhost:5000", True),
        ("registry.example:5000", True),
        ("[::1]:5000", True),
        ("registry.example/", True),
        ("http://registry", True),
        ("", False),
        ("/", False),
        ("app", False),
        ("app:1", False),
        ("my.app", False),
        ("my.app:v1", False),
        ("localhost:5000/app", False),
        ("http://registry/app", False),
    ],
)
def test_a_host_is_told_from_a_repository(text: str, *, is_host: bool) -> None:
    assert is_host_alone(text) == is_host


@pytest.mark.parametrize("tail", ["", ":1", "@sha256:00", ":1@sha256:00"])
@pytest.mark.parametrize("place", ["app", "localhost:5000/app", "http://10.0.0.1:5000/team/app", "app:5000/app"])
def test_a_repository_is_named_again_as_it_was_typed(place: str, tail: str) -> None:
    assert repository_in(place + tail) == place


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("http://localhost:5000", "http://127.0.0.1:5000", True),
        ("http://[::1]:5000/v2/", "http://localhost:5000", True),
        ("http://localhost", "http://127.0.0.1:80", True),
        ("https://Registry.example", "https://registry.example:443", True),
        ("http://localhost:5000", "http://127.0.0.1:5001", False),
        ("http://localhost:5000", "https://localhost:5000", False),
        ("http://localhost:5000", "http://localhost.example:5000", False),
        ("http://[::1", "http://localhost:5000", False),
    ],
)
def test_the_loopback_is_one_registry_whatever_it_is_called(one: str, other: str, *, are_one: bool) -> None:
    """Credentials of the environment go to the usual registry, and to no other one."""
    assert is_same_registry(one, other) == is_same_registry(other, one) == are_one
