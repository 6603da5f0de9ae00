"""Manifest payloads kept in memory: they never change, so the only question is room."""

from collections import OrderedDict
from dataclasses import dataclass

from moorage.oci.digests import Digest


@dataclass(frozen=True, slots=True)
class Payload:
    """The bytes of a manifest, and the media type that they show."""

    content: bytes
    media_type: str
    is_declared: bool
    """True if the bytes name the type; if not, the manifest may have been pushed as something else."""


class PayloadCache:
    """The payloads used last, by digest, up to a number of bytes."""

    def __init__(self, limit_bytes: int = 32 << 20) -> None:
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._payloads: OrderedDict[Digest, Payload] = OrderedDict()

    def get(self, digest: Digest) -> Payload | None:
        """The payload, if it is here."""
        payload = self._payloads.get(digest)
        if payload is not None:
            self._payloads.move_to_end(digest)
        return payload

    def put(self, digest: Digest, payload: Payload) -> None:
        """Keep a payload, and let go of those not used for longest."""
        if digest in self._payloads or len(payload.content) > self._limit_bytes // 4:
            return
        self._payloads[digest] = payload
        self._size_bytes += len(payload.content)
        while self._size_bytes > self._limit_bytes:
            _, dropped = self._payloads.popitem(last=False)
            self._size_bytes -= len(dropped.content)
