"""The name of a key in our tokens is found by the rules of every registry that trusts them.

Source: registry/auth/token of Distribution 2.8 (libtrust's key id of each certificate in ``rootcertbundle``) and of
version 3 (the ``kid`` of each key in ``jwks``, and RFC 7638's thumbprint of each certificate).
"""

import base64
import hashlib
import json
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from moorage.auth.tokens import SigningKey
from moorage.token_server.key_ring import KeyFolder, KeyRing


def libtrust_id(certificate: x509.Certificate) -> str:
    der = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
    return ":".join(text[at : at + 4] for at in range(0, len(text), 4))


def thumbprint(key: dict[str, str]) -> str:
    needed = {name: key[name] for name in ("crv", "kty", "x", "y")}
    text = json.dumps(needed, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()


def test_both_versions_of_distribution_find_the_key_of_each_token(tmp_path: Path) -> None:
    folder, now = KeyFolder(tmp_path), time.time()
    folder.prepare(now)
    folder.rotate(now)
    ring = KeyRing.parse(folder.private.read_bytes())
    used = {SigningKey.read(key.private.encode()).id for key in ring.keys}
    assert len(used) == 2
    assert used == {libtrust_id(found) for found in x509.load_pem_x509_certificates(folder.bundle.read_bytes())}
    keys = json.loads(folder.jwks.read_bytes())["keys"]
    assert used == {key["kid"] for key in keys}, "version 3 takes the name that the set gives"
    assert used.isdisjoint({thumbprint(key) for key in keys}), "so that rootcertbundle does not do for version 3"
