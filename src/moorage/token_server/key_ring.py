"""The folder with the token server's keys: made at the first start, changed by ``moorage token rotate``.

::

    keys.json       private: the keys, from when each signs and until when it is trusted; and the refresh secret
    registry.pem    public: certificates for ``auth.token.rootcertbundle``
    jwks.json       public: the same keys for ``auth.token.jwks``
    keys.lock       held by the process that changes them

A new key is in the public files for a while before it signs, and an old one stays in them until the last token that
it has signed has ended.
"""

import base64
import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError

from moorage.atomic_writes import write_whole
from moorage.auth.tokens import LEEWAY_S, SigningKey

LIFETIME_LIMIT = timedelta(hours=1)
"""Of a token. An old key is trusted for so long, and for the leeway of two clocks."""
DELAY = timedelta(seconds=10)
"""Until a new key signs: the registry reads its files every second."""
FILE_LIMIT_BYTES = 1 << 20

_CERTIFICATE_LIFE = timedelta(days=3650)
_SKEW = timedelta(days=1)
_SECRET_BYTES = 32


class RingKey(BaseModel):
    """One key. Moments are in seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    private: str
    """PEM."""
    certificate: str
    """PEM; signed by itself, as registries take keys in certificates."""
    signs_from: float
    trusted_until: float | None = None
    """None: until another one follows it."""


class KeyRing(BaseModel):
    """All of them, in the order in which they were made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    refresh_secret: Annotated[Base64Bytes, Field(min_length=_SECRET_BYTES)]
    keys: Annotated[tuple[RingKey, ...], Field(min_length=1)]

    @classmethod
    def parse(cls, content: bytes) -> "KeyRing":
        """Read ``keys.json``.

        Raises:
            ValueError: it is none.
        """
        try:
            ring = cls.model_validate_json(content)
        except ValidationError as exc:
            where = ".".join(str(part) for part in exc.errors(include_input=False)[0]["loc"])
            msg = f"it is no file of keys: {where or 'the whole'} is wrong"
            raise ValueError(msg) from None
        for key in ring.keys:
            SigningKey.read(key.private.encode())
        return ring

    def signing(self, now: float) -> SigningKey:
        """Return the key to sign with: the last that has begun to, or the first if none has."""
        begun = [key for key in self.keys if key.signs_from <= now] or self.keys[:1]
        return SigningKey.read(begun[-1].private.encode())

    def trusted(self, now: float) -> Sequence[RingKey]:
        """The keys whose tokens may still be valid, or will be."""
        return [key for key in self.keys if key.trusted_until is None or key.trusted_until > now]


class KeyFolder:
    """The files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.private = folder / "keys.json"
        self.bundle = folder / "registry.pem"
        self.jwks = folder / "jwks.json"

    def prepare(self, now: float) -> bool:
        """Make keys if there are none, and drop those that nothing needs any more. Whether they are new.

        Raises:
            OSError: the folder cannot be used.
            ValueError: its keys cannot.
        """
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._folder.chmod(0o755)  # Whatever the umask: the registry may be another user, and reads what is public.
        with self._locked():
            if self.private.exists():
                ring = self._read()
                self._write(ring.model_copy(update={"keys": tuple(ring.trusted(now))}), ring)
                return False
            secret = base64.b64encode(secrets.token_bytes(_SECRET_BYTES))
            self._write(KeyRing(refresh_secret=secret, keys=(_new_key(now, now),)), None)
            return True

    def rotate(self, now: float, *, delay: timedelta = DELAY, is_compromised: bool = False) -> None:
        """Add a key that signs from *delay* on; the others are trusted until their last token has ended.

        Args:
            now: in seconds since 1970.
            delay: how long the registry may take to know of it.
            is_compromised: somebody else may have the old ones: they are dropped, the new one signs at once, and no
                refresh token is taken any more.

        Raises:
            OSError: the folder cannot be used.
            ValueError: its keys cannot.
        """
        begins_at = now if is_compromised else now + delay.total_seconds()
        ends_at = begins_at + LIFETIME_LIMIT.total_seconds() + 2 * LEEWAY_S
        with self._locked():
            ring, fresh = self._read(), _new_key(now, begins_at)
            if is_compromised:
                secret = base64.b64encode(secrets.token_bytes(_SECRET_BYTES))
                self._write(KeyRing(refresh_secret=secret, keys=(fresh,)), ring)
                return
            old = [
                key if key.trusted_until is not None else key.model_copy(update={"trusted_until": ends_at})
                for key in ring.trusted(now)
            ]
            self._write(ring.model_copy(update={"keys": (*old, fresh)}), ring)

    def _read(self) -> KeyRing:
        return KeyRing.parse(self.private.read_bytes())

    def _write(self, ring: KeyRing, before: KeyRing | None) -> None:
        # The public files first: what signs must be trusted already. They are also written if only they are missing.
        write_whole(self.bundle, "".join(key.certificate for key in ring.keys).encode(), mode=0o644)
        write_whole(self.jwks, _jwks(ring), mode=0o644)
        if ring != before:
            write_whole(self.private, ring.model_dump_json(indent=2).encode(), mode=0o600)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = os.open(self._folder / "keys.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _new_key(now: float, signs_from: float) -> RingKey:
    key, made_at = generate_private_key(SECP256R1()), datetime.fromtimestamp(now, UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"moorage tokens {made_at:%Y-%m-%d}")])
    builder = x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(made_at - _SKEW).not_valid_after(made_at + _CERTIFICATE_LIFE)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificate = builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
    return RingKey(private=private.decode(), certificate=certificate.decode(), signs_from=signs_from)


def _jwks(ring: KeyRing) -> bytes:
    keys = []
    for key in ring.keys:
        signing = SigningKey.read(key.private.encode())
        keys.append({**signing.key.as_dict(private=False), "kid": signing.id, "alg": signing.algorithm, "use": "sig"})
    return json.dumps({"keys": keys}, indent=2).encode()
