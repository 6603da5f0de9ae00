"""The folder of issued certificates: what is due, who may speak to the authority, and files written whole."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from moorage.atomic_writes import write_whole
from moorage.config.sections.http import LetsEncrypt
from moorage.server.tls.acme_contexts import IssuedTLS
from moorage.server.tls.acme_files import IssuedFiles
from moorage.server.tls.acme_renewal import Issuing, is_due
from moorage.server.tls.tls_contexts import AGAIN, Terms
from support.authority import Authority
from support.open_files import no_more_files

HOST = "registry.example.com"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


def put(path: Path, authority: Authority, *names: str, days: float = 90) -> None:
    made = authority.certify("made", *names, begin=BEGIN, days=days)
    path.write_bytes(made.key.read_bytes() + made.certificate.read_bytes())


@pytest.mark.parametrize(
    ("days", "age", "due"),
    [(90, 59, False), (90, 61, True), (90, 100, True), (6, 3.9, False), (6, 4.1, True)],
)
def test_a_certificate_is_due_when_two_thirds_of_its_life_are_used_up(
    tmp_path: Path, authority: Authority, days: int, age: float, *, due: bool
) -> None:
    put(tmp_path / HOST, authority, HOST, days=days)
    assert is_due(tmp_path / HOST, HOST, BEGIN + timedelta(days=age)) is due


@pytest.mark.parametrize("fault", ["absent", "empty", "no key", "another's key", "another's name"])
def test_what_cannot_be_served_is_due(tmp_path: Path, authority: Authority, fault: str) -> None:
    path, now = tmp_path / HOST, BEGIN + timedelta(days=1)
    put(path, authority, "other.example.com" if fault == "another's name" else HOST)
    match fault:
        case "absent":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "no key":
            path.write_bytes(path.read_bytes().partition(b"-----BEGIN CERT")[2])
        case "another's key":
            other = authority.certify("other")
            path.write_bytes(
                other.key.read_bytes() + b"-----BEGIN CERT" + path.read_bytes().partition(b"-----BEGIN CERT")[2]
            )
    assert is_due(path, HOST, now)


def test_one_process_at_a_time_speaks_to_the_authority(tmp_path: Path) -> None:
    files = IssuedFiles(tmp_path / "folder")
    files.prepare()
    with files.claimed() as first, files.claimed() as second:
        assert (first, second) == (True, False)
    with files.claimed() as again:
        assert again


def test_a_mistake_of_ours_does_not_end_the_renewals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = IssuedFiles(tmp_path / "folder")  # The folder is not there: nobody has prepared it.
    issuing = Issuing(LetsEncrypt(cachefile=str(tmp_path / "folder"), hosts=[HOST]), files)
    issuing.start()
    issuing.join(1)
    assert issuing.is_alive()
    issuing.stop()
    issuing.join(10)
    assert not issuing.is_alive()
    assert "looking after certificates crashed" in capsys.readouterr().err


def issued(folder: Path, authority: Authority) -> tuple[Path, IssuedTLS]:
    """A cache with a certificate of the host, and what is shown of it."""
    cache = folder / "cache"
    cache.mkdir()
    put(cache / HOST, authority, HOST)
    return cache, IssuedTLS(Terms(path="http.tls"), LetsEncrypt(cachefile=str(cache), hosts=[HOST]))


def test_a_damaged_certificate_leaves_the_one_that_is_shown(
    tmp_path: Path, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    cache, tls = issued(tmp_path, authority)
    before = tls._contexts[HOST]
    (cache / HOST).write_bytes(b"damaged")
    tls.refresh()
    tls.refresh()
    assert tls._contexts[HOST] is before
    assert capsys.readouterr().err.count("a certificate cannot be used") == 1


def test_an_issued_certificate_that_could_not_be_read_for_a_while_is_shown_later(
    tmp_path: Path, authority: Authority
) -> None:
    cache, tls = issued(tmp_path, authority)
    before = tls._contexts[HOST]
    put(cache / HOST, authority, HOST)
    with no_more_files():
        tls.refresh()
    assert tls._contexts[HOST] is before
    for _ in range(AGAIN + 1):
        tls.refresh()
    assert tls._contexts[HOST] is not before


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_is_replaced_as_a_whole_with_its_mode_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    before = os.umask(0o077)
    try:
        write_whole(path, b"new", mode=mode)
    finally:
        os.umask(before)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", mode)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_replaced_stays_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.mkdir()  # A file cannot take the place of a folder.
    with pytest.raises(OSError, match="Is a directory"):
        write_whole(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
