"""The XML of the request for a key that signs URLs, and of its answer.

Source: "Get User Delegation Key" of Azure's documentation of the Blob service.
"""

import base64
from xml.etree import ElementTree as ET

from moorage.errors import StorageUnavailable
from moorage.storage.azure.signed_urls import DelegationKey


def asked_for(start: str, expiry: str) -> bytes:
    """Return the body that asks for a key good from *start* to *expiry*."""
    head = "<?xml version='1.0' encoding='utf-8'?>"
    return f"{head}<KeyInfo><Start>{start}</Start><Expiry>{expiry}</Expiry></KeyInfo>".encode()


def key_in(body: bytes) -> DelegationKey:
    """Read the key in an answer.

    Raises:
        StorageUnavailable: it is not such an answer.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314 - of the store that has everybody's bytes, and bounded
        texts = {element.tag: element.text or "" for element in root}
        return DelegationKey(
            oid=texts["SignedOid"],
            tid=texts["SignedTid"],
            start=texts["SignedStart"],
            expiry=texts["SignedExpiry"],
            service=texts["SignedService"],
            version=texts["SignedVersion"],
            value=base64.b64decode(texts["Value"], validate=True),
        )
    except (ET.ParseError, KeyError, ValueError) as exc:
        msg = "the service's key for signed URLs cannot be read"
        raise StorageUnavailable(msg) from exc
