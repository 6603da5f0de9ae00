"""A security key of software, for tests: it answers what a browser hands to it."""

import hashlib
import json
import secrets
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData


class SoftKey:
    """One security key, for one site."""

    def __init__(self, origin: str, site: str) -> None:
        self.origin, self.site = origin, site
        self.counter = 0
        self.counts = True
        self.credential_id = secrets.token_bytes(32)
        self._key = ec.generate_private_key(ec.SECP256R1())

    def made(self, options: dict[str, Any]) -> str:
        """Answer as a new key."""
        public = ES256.from_cryptography_key(self._key.public_key())  # type: ignore[no-untyped-call] # the library's own
        credential = AttestedCredentialData.create(b"\0" * 16, self.credential_id, public)
        data = AuthenticatorData.create(
            self._site(), AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.AT, 0, bytes(credential)
        )
        attestation = AttestationObject.create("none", data, {})
        client_data = self._client_data("webauthn.create", options)
        return self._answer({"clientDataJSON": client_data, "attestationObject": bytes(attestation)})

    def asked(self, options: dict[str, Any]) -> str:
        """Answer a challenge."""
        self.counter = self.counter + 1 if self.counts else 0
        data = AuthenticatorData.create(self._site(), AuthenticatorData.FLAG.UP, self.counter)
        client_data = self._client_data("webauthn.get", options)
        signature = self._key.sign(bytes(data) + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        return self._answer({"clientDataJSON": client_data, "authenticatorData": bytes(data), "signature": signature})

    def _site(self) -> bytes:
        return hashlib.sha256(self.site.encode()).digest()

    def _client_data(self, kind: str, options: dict[str, Any]) -> bytes:
        challenge = options["publicKey"]["challenge"]
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _answer(self, response: dict[str, bytes]) -> str:
        name = websafe_encode(self.credential_id)
        texts = {part: websafe_encode(value) for part, value in response.items()}
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": texts})
