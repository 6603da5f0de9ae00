"""Questions to a server that may not be there yet, over plain HTTP or TLS."""

import http.client
import socket
import ssl
from urllib.parse import urlsplit


class _Own(ssl.SSLSocket):
    """Closes when nobody has it any more.

    Among thousands of connections that are cut one is lost now and then, in the standard library; whatever test is
    running when it is collected would be blamed.
    """

    def __del__(self) -> None:
        self.close()


class TLSConnection(http.client.HTTPSConnection):
    """Has a socket that is TLS's before it is connected.

    The standard library connects first: where the other end resets the connection before TLS has it, its socket is
    lost, and is found open by whatever test collects it.
    """

    def __init__(self, address: str, *, timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(address, timeout=timeout, context=context)
        self._tls, self._wait_s = context, timeout
        context.sslsocket_class = _Own

    def connect(self) -> None:
        # If connecting fails, the socket is here to be closed.
        self.sock = self._tls.wrap_socket(socket.socket(), server_hostname=self.host)
        self.sock.settimeout(self._wait_s)
        self.sock.connect((self.host, self.port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def status_of(url: str, *, tls: ssl.SSLContext | None = None, timeout_s: float = 5.0) -> int:
    """Return the status of the answer to a GET; 0: there is none."""
    parts = urlsplit(url)
    connection: http.client.HTTPConnection
    if tls is None:
        connection = http.client.HTTPConnection(parts.netloc, timeout=timeout_s)
    else:
        connection = TLSConnection(parts.netloc, timeout=timeout_s, context=tls)
    try:
        connection.request("GET", parts.path or "/")
        with connection.getresponse() as answer:
            answer.read()
            return answer.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
