"""PEM files that cannot be used: what is said names the file and what would be right."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from moorage.errors import ConfigurationError
from moorage.server.tls.certificates import check_authorities, read_pair
from support.authority import KEY_OF_NO_KIND, OF_NO_VERSION, Authority, damaged, private_pem


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


def mistakes_of(certificate: Path, key: Path) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as raised:
        read_pair("http.tls", certificate, key)
    return {mistake.path: mistake.message for mistake in raised.value.mistakes}


def test_a_pair_that_fits_is_read_and_nothing_is_said(authority: Authority) -> None:
    made = authority.certify("registry.example.com")
    pair = read_pair("http.tls", made.certificate, made.key)
    assert pair.leaf.serial_number == made.serial
    assert list(pair.warnings(datetime.now(UTC))) == []


def test_both_files_are_named_where_neither_is_there(tmp_path: Path) -> None:
    assert mistakes_of(tmp_path / "a.crt", tmp_path / "a.key") == {
        "http.tls.certificate": f"cannot read {tmp_path}/a.crt: No such file or directory",
        "http.tls.key": f"cannot read {tmp_path}/a.key: No such file or directory",
    }


def test_files_the_wrong_way_round_are_told_apart(authority: Authority) -> None:
    made = authority.certify("registry.example.com")
    assert mistakes_of(made.key, made.certificate) == {
        "http.tls.certificate": f"{made.key} has no certificate, but PRIVATE KEY; PEM is needed, which begins with "
        "-----BEGIN CERTIFICATE-----",
        "http.tls.key": f"{made.certificate} has no private key, but CERTIFICATE; PEM is needed, which begins with "
        "-----BEGIN PRIVATE KEY-----",
    }


def test_a_key_of_another_certificate_is_named_with_the_certificate(authority: Authority) -> None:
    made, other = authority.certify("registry.example.com"), authority.certify("other.example.com")
    assert mistakes_of(made.certificate, other.key) == {
        "http.tls.key": f"{other.key} is not the key of the certificate in {made.certificate} (CN=registry.example.com)"
    }


def test_a_chain_in_the_wrong_order_is_told(authority: Authority, tmp_path: Path) -> None:
    made = authority.certify("registry.example.com")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(authority.certificate.read_bytes() + made.certificate.read_bytes())
    assert mistakes_of(chain, made.key) == {
        "http.tls.certificate": f"the certificate of {made.key} must come first in {chain}, its chain after"
    }


def test_a_key_behind_a_passphrase_is_told_how_to_write_it_without(authority: Authority, tmp_path: Path) -> None:
    made = authority.certify("registry.example.com")
    locked = tmp_path / "locked.key"
    encryption = BestAvailableEncryption(b"passphrase")
    locked.write_bytes(generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    assert mistakes_of(made.certificate, locked) == {
        "http.tls.key": f"{locked} is locked by a passphrase; write it without one: openssl pkey -in {locked} -out NEW"
    }


def test_a_damaged_certificate_is_told(authority: Authority, tmp_path: Path) -> None:
    made = authority.certify("registry.example.com")
    damaged = tmp_path / "damaged.crt"
    damaged.write_bytes(made.certificate.read_bytes().replace(b"M", b"N"))
    (message,) = mistakes_of(damaged, made.key).values()
    assert message.startswith(f"{damaged} is damaged: ")


@pytest.mark.parametrize("damage", [KEY_OF_NO_KIND, OF_NO_VERSION])
def test_a_certificate_that_is_one_but_for_its_key_or_its_version_is_told(
    authority: Authority, tmp_path: Path, damage: tuple[bytes, bytes]
) -> None:
    made = authority.certify("registry.example.com")
    path = tmp_path / "damaged.crt"
    path.write_bytes(damaged(made.certificate.read_bytes(), damage))
    (message,) = mistakes_of(path, made.key).values()
    assert message.startswith(f"{path} is damaged: ")


def test_an_endless_file_is_not_read_to_its_end(authority: Authority) -> None:
    made = authority.certify("registry.example.com")
    assert mistakes_of(Path("/dev/zero"), made.key) == {
        "http.tls.certificate": "/dev/zero has more than 4 MiB and is no PEM file"
    }


@pytest.mark.parametrize(
    ("begin", "days", "says"),
    [
        (datetime(2024, 1, 1, tzinfo=UTC), 30, "the certificate has expired on 2024-01-31 00:00 UTC"),
        (datetime(2024, 6, 1, tzinfo=UTC), 30, "the certificate is not valid before 2024-06-01 00:00 UTC"),
    ],
)
def test_a_certificate_out_of_its_time_can_be_used_with_a_warning(
    authority: Authority, begin: datetime, days: int, says: str
) -> None:
    made = authority.certify("registry.example.com", begin=begin, days=days)
    pair = read_pair("http.tls", made.certificate, made.key)
    assert list(pair.warnings(datetime(2024, 3, 1, tzinfo=UTC))) == [says]


def test_a_key_that_everybody_may_read_is_a_warning(authority: Authority) -> None:
    made = authority.certify("registry.example.com")
    made.key.chmod(0o644)
    (said,) = read_pair("http.tls", made.certificate, made.key).warnings(datetime.now(UTC) + timedelta(hours=1))
    assert f"chmod o= {made.key}" in said


def test_each_file_of_authorities_that_has_none_is_named(authority: Authority, tmp_path: Path) -> None:
    key = tmp_path / "a.key"
    key.write_bytes(private_pem(generate_private_key(SECP256R1())))
    with pytest.raises(ConfigurationError) as raised:
        check_authorities("http.tls.clientcas", (authority.certificate, key, tmp_path / "absent"))
    assert [mistake.path for mistake in raised.value.mistakes] == ["http.tls.clientcas[1]", "http.tls.clientcas[2]"]


LOCKED_OLD = (
    b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n"
    b"\nAAAA\n-----END RSA PRIVATE KEY-----\n"
)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda pem: pem.rstrip() + pem, "has two blocks on one line, line "),
        (lambda pem: pem.replace(b"\n", b" "), "on line 1, which needs a line of its own"),
        (lambda pem: pem.replace(b"\n", b"\\n"), "has \\n written out where lines should end"),
        (lambda pem: b"  " + pem, "on line 1, which needs a line of its own"),
        (lambda pem: b"\xef\xbb\xbf" + pem, "begins with a byte order mark"),
        (lambda pem: pem.decode().encode("utf-16"), "is UTF-16 text"),
        (lambda _: b" \n", "is empty"),
        (lambda pem: pem[:100], "ends in the middle of a block"),
        (lambda _: b"0\x82\x01\x01", "is DER, not PEM"),
    ],
)
def test_text_that_is_no_pem_is_told_of_certificates_and_keys_alike(
    authority: Authority, tmp_path: Path, spoil: Callable[[bytes], bytes], says: str
) -> None:
    made = authority.certify("registry.example.com")
    certificate, key = tmp_path / "spoilt.crt", tmp_path / "spoilt.key"
    certificate.write_bytes(spoil(made.certificate.read_bytes()))
    key.write_bytes(spoil(made.key.read_bytes()))
    found = mistakes_of(certificate, key)
    assert set(found) == {"http.tls.certificate", "http.tls.key"}
    assert all(says in message for message in found.values()), found


def test_line_ends_of_dos_and_text_around_blocks_are_no_mistake(authority: Authority, tmp_path: Path) -> None:
    made = authority.certify("registry.example.com")
    certificate, key = tmp_path / "dos.crt", tmp_path / "dos.key"
    certificate.write_bytes(b"Bag Attributes\r\n" + made.certificate.read_bytes().replace(b"\n", b"\r\n"))
    key.write_bytes(made.key.read_bytes().replace(b"\n", b"\r\n"))
    read_pair("http.tls", certificate, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)


def test_an_old_key_behind_a_passphrase_is_told_too(authority: Authority, tmp_path: Path) -> None:
    made = authority.certify("registry.example.com")
    (tmp_path / "locked").write_bytes(LOCKED_OLD)
    (message,) = mistakes_of(made.certificate, tmp_path / "locked").values()
    assert "is locked by a passphrase" in message
