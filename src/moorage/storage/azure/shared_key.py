"""The key of a storage account: the signature of a request, and of a URL that its holder may fetch.

Source: "Authorize with Shared Key" and "Create a service SAS" of Azure's documentation of the Blob service.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from moorage.storage.base import size_of
from moorage.storage.remote.exchange import StoreCall

_SIGNED = ("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date")
_CONDITIONS = ("if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range")


@dataclass(frozen=True, slots=True)
class AccountKey:
    """The name of a storage account and one of its two keys."""

    account: str
    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, account: str, text: str) -> Self:
        """Read a key as the portal shows it.

        Raises:
            ValueError: it is no base64.
        """
        try:
            key = base64.b64decode(text, validate=True)
        except binascii.Error:
            key = b""
        if not key:
            msg = "an account's key is needed as the portal shows it, in base64"
            raise ValueError(msg)
        return cls(account, key)

    def sign(self, text: str) -> str:
        """Return the signature of *text*, in base64."""
        return signature(self.key, text)

    def authorization(self, call: StoreCall, headers: Mapping[str, str]) -> str:
        """Return the header ``Authorization`` of a request that is sent with these *headers* and no other ``x-ms-``."""
        lower = {name.lower(): value for name, value in headers.items()}
        sent_bytes = size_of(call.body)
        lower["content-length"] = str(sent_bytes) if sent_bytes else ""
        lines = [call.method, *(lower.get(name, "") for name in (*_SIGNED, *_CONDITIONS))]
        # The service orders them as words, in which hyphens do not count.
        ours = sorted((name for name in lower if name.startswith("x-ms-")), key=lambda name: name.replace("-", ""))
        lines += [f"{name}:{lower[name].strip()}" for name in ours]
        return f"SharedKey {self.account}:{self.sign(chr(10).join([*lines, self._resource(call.url)]))}"

    def _resource(self, url: str) -> str:
        parts = urlsplit(url)
        values = sorted((name.lower(), value) for name, value in parse_qsl(parts.query, keep_blank_values=True))
        return "\n".join([f"/{self.account}{parts.path}", *(f"{name}:{value}" for name, value in values)])


def signature(key: bytes, text: str) -> str:
    """Return the signature of *text* by *key*, in base64."""
    return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode("ascii")
