"""TLS for commands: which certificates are trusted, and what went wrong in words."""

import http.client
import ssl

from moorage.client.places import host_of
from moorage.errors import MoorageError
from moorage.pem import said_of_text
from moorage.permissions import reason_of

_EXPIRED, _NOT_YET_VALID = 10, 9
_OTHER_NAMES = frozenset({62, 64})
"""A host name, an address. Source: OpenSSL's x509_vfy.h, as the next ones."""
_UNKNOWN_ISSUERS = frozenset({2, 18, 19, 20, 21})
_SPEAKS_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})


class CertificatesUnusable(MoorageError):
    """A file of certificates cannot be used; the text says why."""


def trusting(ca: str, option: str = "--ca") -> ssl.SSLContext:
    """A context that trusts what is in a file, and nothing else; *option* names the file, for what is said.

    Raises:
        CertificatesUnusable: the file cannot be used.
    """
    if said := said_of_text(ca):
        msg = f"{option} {said}"
        raise CertificatesUnusable(msg)
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as exc:
        why = "it holds no certificate in PEM" if isinstance(exc, ssl.SSLError) else reason_of(exc, ca, "read")
        msg = f"{option} {ca} cannot be used: {why}"
        raise CertificatesUnusable(msg) from None


def tls_in_words(error: BaseException | str, url: str) -> str:
    """Explain a failed connection to *url*, if TLS is the reason or the want of it; empty: it is something else."""
    host = host_of(url)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(error, host)
    if isinstance(error, ssl.SSLError):
        if error.reason in _SPEAKS_NO_TLS:
            return f"{host} does not speak TLS; if it is meant to be plain HTTP, ask for http://{host}"
        return f"no TLS connection to {host} can be made: {(error.reason or str(error)).replace('_', ' ').lower()}"
    if url.startswith("http://") and isinstance(error, http.client.BadStatusLine | ConnectionResetError):
        return f"{host} gives no answer to plain HTTP; if it speaks TLS, ask for https://{host}"
    return ""


def wants_tls(status: int, body: bytes) -> bool:
    """Return whether an answer is one that servers give to plain HTTP on a port for TLS."""
    return status in (400, 426, 497) and b"HTTPS" in body.upper() and not body.lstrip().startswith(b"{")


def _untrusted(error: ssl.SSLCertVerificationError, host: str) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        return f"the certificate of {host} has expired; whoever runs it has to renew it"
    if code == _NOT_YET_VALID:
        return f"the certificate of {host} is not valid yet; is the clock of this machine right?"
    if code in _OTHER_NAMES:
        return f"the certificate of {host} is for another name; ask for the registry by a name that is in it"
    if code in _UNKNOWN_ISSUERS:
        return (
            f"the certificate of {host} is not trusted, as nobody knows who issued it; if it is a CA of your own, "
            "name its certificate by --ca FILE"
        )
    return f"the certificate of {host} is not trusted: {error.verify_message.rstrip('.')}"
