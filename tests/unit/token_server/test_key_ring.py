"""Keys over time: a new one is known before it signs, and an old one until its last token has ended."""

import json
import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from moorage.auth.claims import Claims
from moorage.auth.issuer import IssuerKeys, watch_bundle, watch_jwks
from moorage.auth.tokens import LEEWAY_S, InvalidToken, SigningKey, Verifier, mint
from moorage.token_server.key_ring import DELAY, LIFETIME_LIMIT, KeyFolder, KeyRing

NOW = 1_800_000_000.0
HOUR = 3600.0
LAST_S = LIFETIME_LIMIT.total_seconds()


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    found = KeyFolder(tmp_path / "keys")
    assert found.prepare(NOW)
    return found


def ring(folder: KeyFolder) -> KeyRing:
    return KeyRing.parse(folder.private.read_bytes())


def token(key: SigningKey, at: float, lifetime_s: float = LAST_S) -> str:
    return mint(Claims(iss="i", aud="s", exp=at + lifetime_s, nbf=at), key)


def is_trusted(folder: KeyFolder, text: str, at: float, *, by: str = "bundle") -> bool:
    """Whether a registry that has read the public files takes a token."""
    bundle = watch_bundle(folder.bundle) if by == "bundle" else None
    jwks = watch_jwks(folder.jwks) if by == "jwks" else None
    try:
        Verifier(issuer="i", service="s").verify(text, IssuerKeys(bundle, jwks)(), now=at)
    except InvalidToken:
        return False
    return True


def test_the_first_keys_are_made_once_and_private_to_their_owner(folder: KeyFolder) -> None:
    before = folder.private.read_bytes()
    assert not folder.prepare(NOW + HOUR)
    assert folder.private.read_bytes() == before
    assert stat.S_IMODE(folder.private.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.bundle.stat().st_mode) == 0o644
    assert b"PRIVATE" not in folder.bundle.read_bytes() + folder.jwks.read_bytes()
    assert all("d" not in key for key in json.loads(folder.jwks.read_bytes())["keys"])


def test_another_user_s_registry_reads_the_public_files_whatever_the_umask(tmp_path: Path) -> None:
    folder, before = KeyFolder(tmp_path / "keys"), os.umask(0o077)
    try:
        assert folder.prepare(NOW)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.bundle.parent.stat().st_mode) == 0o755
    assert {stat.S_IMODE(file.stat().st_mode) for file in (folder.bundle, folder.jwks)} == {0o644}
    folder.bundle.parent.chmod(0o750)  # Whoever closed it later has a reason.
    folder.prepare(NOW + HOUR)
    assert stat.S_IMODE(folder.bundle.parent.stat().st_mode) == 0o750


@pytest.mark.parametrize("by", ["bundle", "jwks"])
def test_a_registry_trusts_the_first_key_by_either_file(folder: KeyFolder, by: str) -> None:
    assert is_trusted(folder, token(ring(folder).signing(NOW), NOW), NOW, by=by)


def test_a_new_key_is_trusted_before_it_signs(folder: KeyFolder) -> None:
    first = ring(folder).signing(NOW)
    folder.rotate(NOW + HOUR)
    begins_at = NOW + HOUR + DELAY.total_seconds()
    found = ring(folder)
    assert found.signing(begins_at - 1).id == first.id
    assert found.signing(begins_at).id != first.id
    assert is_trusted(folder, token(found.signing(begins_at), NOW + HOUR), NOW + HOUR)


def test_an_old_key_is_trusted_until_the_last_token_that_it_signed_has_ended(folder: KeyFolder) -> None:
    first = ring(folder).signing(NOW)
    folder.rotate(NOW + HOUR)
    signed_at = NOW + HOUR + DELAY.total_seconds() - 1
    last = token(first, signed_at)
    folder.prepare(signed_at + LAST_S)
    assert is_trusted(folder, last, signed_at + LAST_S + LEEWAY_S - 1)
    folder.prepare(signed_at + LAST_S + 3 * LEEWAY_S)
    assert not is_trusted(folder, token(first, NOW + 3 * HOUR), NOW + 3 * HOUR)
    assert len(ring(folder).keys) == 1


def test_a_compromised_key_is_dropped_at_once_with_all_refresh_tokens(folder: KeyFolder) -> None:
    before = ring(folder)
    stolen = before.signing(NOW)
    folder.rotate(NOW + HOUR, is_compromised=True)
    after = ring(folder)
    assert not is_trusted(folder, token(stolen, NOW + HOUR), NOW + HOUR)
    assert is_trusted(folder, token(after.signing(NOW + HOUR), NOW + HOUR), NOW + HOUR)
    assert after.refresh_secret != before.refresh_secret


def test_two_rotations_in_a_row_leave_the_last_key_signing(folder: KeyFolder) -> None:
    folder.rotate(NOW, delay=timedelta(hours=1))
    folder.rotate(NOW + 1)
    found = ring(folder)
    assert len(found.keys) == 3
    last = SigningKey.read(found.keys[-1].private.encode()).id
    for later in (60, HOUR, 2 * HOUR):
        assert found.signing(NOW + later).id == last


def test_refresh_tokens_outlive_a_rotation(folder: KeyFolder) -> None:
    before = ring(folder).refresh_secret
    folder.rotate(NOW)
    assert ring(folder).refresh_secret == before


def test_public_files_that_were_lost_are_written_again(folder: KeyFolder) -> None:
    content = folder.bundle.read_bytes()
    folder.bundle.unlink()
    assert not folder.prepare(NOW)
    assert folder.bundle.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"{}", b"nonsense", b'{"refresh_secret": "AAAA", "keys": []}'])
def test_a_damaged_file_of_keys_is_told_and_not_replaced(folder: KeyFolder, content: bytes) -> None:
    folder.private.write_bytes(content)
    for change in (folder.prepare, folder.rotate):
        with pytest.raises(ValueError, match="it is no file of keys"):
            change(NOW)
    assert folder.private.read_bytes() == content
