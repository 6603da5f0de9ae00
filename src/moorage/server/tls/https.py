"""HTTPS of each address as the configuration wants it."""

from pathlib import Path

from moorage.config import Config
from moorage.config.ciphers import TLS13_NAMES
from moorage.server.tls.tls_contexts import FileTLS, ServerTLS, Terms
from moorage.telemetry import get_log

_log = get_log("tls")


def open_tls(config: Config) -> ServerTLS | None:
    """HTTPS of the main address; None for plain HTTP.

    Raises:
        ConfigurationError: something in ``http.tls`` cannot be used.
    """
    tls = config.http.tls
    if not tls.is_on:
        return None
    terms = Terms(
        path="http.tls",
        client_authorities=tuple(map(Path, tls.clientcas)),
        needs_client=tls.clientauth != "verify-client-cert-if-given",
        minimum=tls.minimumtls or "tls1.2",
        suites=tuple(tls.ciphersuites),
    )
    if without_effect := sorted(TLS13_NAMES.intersection(terms.suites)):
        message = (
            f"http.tls.ciphersuites: TLS 1.3 has its own suites, always on; no effect: {', '.join(without_effect)}"
        )
        _log.warning(message)
    if tls.letsencrypt.cachefile:
        from moorage.server.tls.acme_contexts import IssuedTLS  # noqa: PLC0415 - a start without TLS need not wait

        return IssuedTLS(terms, tls.letsencrypt)
    return FileTLS(terms, Path(tls.certificate), Path(tls.key))


def open_debug_tls(config: Config) -> ServerTLS | None:
    """HTTPS of the debug address; None for plain HTTP.

    Raises:
        ConfigurationError: something in ``http.debug.tls`` cannot be used.
    """
    debug, tls = config.http.debug.tls, config.http.tls
    if not config.http.debug.addr or not debug.enabled:
        return None
    own = bool(debug.certificate)
    terms = Terms(
        path="http.debug.tls" if own else "http.tls",
        client_authorities=tuple(map(Path, debug.clientcas or tls.clientcas)),
        needs_client=bool(debug.clientcas) or tls.clientauth != "verify-client-cert-if-given",
        minimum=debug.minimumtls or tls.minimumtls or "tls1.2",
    )
    return FileTLS(terms, Path(debug.certificate or tls.certificate), Path(debug.key or tls.key))
