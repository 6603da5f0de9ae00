"""Search for a protocol in a TLS client's first message: OpenSSL does not tell before a certificate is chosen."""

import ssl

from moorage.server.tls.tls_contexts import Handshake

ACME = b"acme-tls/1"
"""Source: RFC 8737 § 3."""

_HANDSHAKE, _CLIENT_HELLO, _ALPN = 22, 1, 16
_RECORD_HEAD_BYTES = 5
_RECORD_LIMIT_BYTES = 16384


class PeekedHandshake(Handshake):
    """A connection that knows whether it is an authority's check, before it is given a certificate."""

    is_check = False
    _is_seen = False

    def do_handshake(self) -> None:
        """Look at the first message, once it is whole, and go on with the handshake."""
        if not self._is_seen:
            data = self.incoming.read()
            self.incoming.write(data)
            if not _is_whole(data):
                raise ssl.SSLWantReadError
            self.is_check = ACME in offered_protocols(data)
            self._is_seen = True
        super().do_handshake()


def offered_protocols(record: bytes) -> list[bytes]:
    """The application protocols in a ClientHello; none if it is cut, or is something else.

    Source: RFC 8446 § 4.1.2, RFC 7301 § 3.1.
    """
    reader = _Reader(record)
    try:
        if reader.take(1)[0] != _HANDSHAKE:
            return []
        reader.take(_RECORD_HEAD_BYTES - 1)
        if reader.take(1)[0] != _CLIENT_HELLO:
            return []
        reader.take(3 + 2 + 32)  # length, version, random
        reader.vector(1)  # session
        reader.vector(2)  # suites
        reader.vector(1)  # compression
        extensions = _Reader(reader.vector(2))
        while extensions:
            kind = int.from_bytes(extensions.take(2), "big")
            content = extensions.vector(2)
            if kind == _ALPN:
                return _names(_Reader(_Reader(content).vector(2)))
    except IndexError:
        pass
    return []


def _names(reader: "_Reader") -> list[bytes]:
    names = []
    while reader:
        names.append(reader.vector(1))
    return names


def _is_whole(data: bytes) -> bool:
    """Return whether the first record is there; what is no record of TLS is left to OpenSSL, which refuses it."""
    if len(data) < _RECORD_HEAD_BYTES:
        return bool(data) and data[0] != _HANDSHAKE
    size = int.from_bytes(data[3:5], "big")
    return data[0] != _HANDSHAKE or size > _RECORD_LIMIT_BYTES or len(data) >= _RECORD_HEAD_BYTES + size


class _Reader:
    """Bytes from the front; IndexError where there are not enough."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    def __bool__(self) -> bool:
        return bool(self._data)

    def take(self, count: int) -> bytes:
        if len(self._data) < count:
            raise IndexError
        taken, self._data = bytes(self._data[:count]), self._data[count:]
        return taken

    def vector(self, length_bytes: int) -> bytes:
        return self.take(int.from_bytes(self.take(length_bytes), "big"))
