"""A file that is read again when it has changed; and the keys of an issuer, over such files."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from moorage.auth.issuer import IssuerKeys, watch_bundle, watch_jwks
from moorage.auth.watched import Watched
from support.authority import KEY_OF_NO_KIND, OF_NO_VERSION, Authority, damaged
from support.clock import Clock
from support.open_files import no_more_files
from support.tokens import certificate, pem, rsa_key


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "file"
    found.write_bytes(b"1")
    return found


def replace(path: Path, content: bytes) -> None:
    """As administrators should: the new file in the place of the old one."""
    scratch = path.with_suffix(".new")
    scratch.write_bytes(content)
    scratch.rename(path)


def test_a_change_is_seen_within_a_second_and_not_sooner(path: Path, clock: Clock) -> None:
    watched = Watched(path, int, limit_bytes=10, monotonic=clock)
    assert watched.get() == 1
    replace(path, b"2")
    assert watched.get() == 1  # It was not looked.
    clock.now += 1
    assert watched.get() == 2
    path.write_bytes(b"30")  # In its place.
    clock.now += 1
    assert watched.get() == 30


def test_it_is_the_same_object_until_it_changes(path: Path, clock: Clock) -> None:
    watched = Watched(path, lambda content: [content], limit_bytes=10, monotonic=clock)
    first = watched.get()
    for _ in range(3):
        clock.now += 1
        assert watched.get() is first
    os.utime(path, (1, 1))
    clock.now += 1
    assert watched.get() is not first


@pytest.mark.parametrize("content", [b"x", b"", b"1" * 11])
def test_a_change_that_cannot_be_used_leaves_what_was(
    path: Path, clock: Clock, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = Watched(path, int, limit_bytes=10, monotonic=clock)
    replace(path, content)
    for _ in range(3):
        clock.now += 1
        assert watched.get() == 1
    assert capsys.readouterr().err.count("cannot be used") == 1  # Once, not each second.
    replace(path, b"2")
    clock.now += 1
    assert watched.get() == 2


def test_a_change_at_which_its_reader_crashes_is_read_once_and_not_each_second(path: Path, clock: Clock) -> None:
    def read(content: bytes) -> int:
        if content == b"odd":
            raise TypeError
        return int(content)

    watched = Watched(path, read, limit_bytes=10, monotonic=clock)
    replace(path, b"odd")
    clock.now += 1
    with pytest.raises(TypeError):
        watched.get()
    clock.now += 1
    assert watched.get() == 1


def test_a_file_that_is_gone_leaves_what_was_and_may_come_back(path: Path, clock: Clock) -> None:
    watched = Watched(path, int, limit_bytes=10, monotonic=clock)
    path.unlink()
    clock.now += 1
    assert watched.get() == 1
    path.write_bytes(b"5")
    clock.now += 1
    assert watched.get() == 5


def test_a_change_that_could_not_be_read_for_a_while_counts_later_though_the_file_is_the_same_since(
    path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = Watched(path, int, limit_bytes=10, monotonic=clock)
    replace(path, b"2")
    with no_more_files():
        for _ in range(3):
            clock.now += 1
            assert watched.get() == 1
    assert capsys.readouterr().err.count("cannot be used") == 1
    clock.now += 1
    assert watched.get() == 2


@pytest.mark.parametrize("content", [b"x", b"1" * 11])
def test_at_the_start_it_has_to_be_good(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        Watched(path, int, limit_bytes=10)
    with pytest.raises(FileNotFoundError):
        Watched(path.with_name("nothing"), int, limit_bytes=10)


class TestIssuerKeys:
    """Rotation: the new certificate beside the old one, then alone."""

    def test_keys_come_and_go_with_the_bundle(self, tmp_path: Path, clock: Clock) -> None:
        old, new = certificate(rsa_key()), certificate(rsa_key("new"))
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(pem(old))
        keys = IssuerKeys(watch_bundle(bundle, monotonic=clock), None)
        first = keys()
        assert len(first) == 1
        replace(bundle, pem(old, new))
        assert keys() is first
        clock.now += 1
        assert len(keys()) == 2
        replace(bundle, pem(new))
        clock.now += 1
        assert len(keys()) == 1
        assert keys() is not first
        replace(bundle, pem(certificate(rsa_key("short", 1024))))
        clock.now += 1
        assert len(keys()) == 1

    @pytest.mark.parametrize("damage", [KEY_OF_NO_KIND, OF_NO_VERSION])
    def test_a_certificate_with_a_key_that_cannot_be_read_leaves_what_was(
        self, tmp_path: Path, clock: Clock, damage: tuple[bytes, bytes]
    ) -> None:
        made = Authority(tmp_path / "authority").certify("keys").certificate
        keys = IssuerKeys(watch_bundle(made, monotonic=clock), None)
        before = keys()
        made.write_bytes(damaged(made.read_bytes(), damage))
        clock.now += 1
        assert keys() is before

    def test_both_files_count(self, tmp_path: Path, clock: Clock) -> None:
        bundle, jwks = tmp_path / "bundle.pem", tmp_path / "keys.json"
        bundle.write_bytes(pem(certificate(rsa_key())))
        jwks.write_text(
            '{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
        )
        keys = IssuerKeys(watch_bundle(bundle, monotonic=clock), watch_jwks(jwks, monotonic=clock))
        assert len(keys()) == 2
        replace(bundle, pem(certificate(rsa_key("new"))))
        clock.now += 1
        assert len(keys()) == 2

    def test_certificates_that_end_are_told(self, tmp_path: Path) -> None:
        bundle = tmp_path / "bundle.pem"
        day = timedelta(days=1)
        ended = certificate(rsa_key(), name="ended", begins=-2 * day, ends=-day)
        soon = certificate(rsa_key("new"), name="soon", ends=29 * day)
        late = certificate(rsa_key("late"), name="late", ends=31 * day)
        bundle.write_bytes(pem(ended, soon, late))
        said = IssuerKeys(watch_bundle(bundle), None, now=time.time).concerns()
        assert len(said) == 2
        assert "CN=ended" in said[0]
        assert "has expired, so that tokens of its key are refused" in said[0]
        assert "CN=soon" in said[1]
        assert "expires at" in said[1]
