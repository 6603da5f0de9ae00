"""``http``: where and how to serve."""

import ipaddress
import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from moorage.config.ciphers import check_suites
from moorage.config.section import Count, Duration, Flag, Secret, Section, Text, now, unused

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_METRICS_PATH = "/metrics"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+", re.ASCII | re.IGNORECASE
)
ClientAuth = Literal["", "verify-client-cert-if-given", "require-and-verify-client-cert"]
MinimumTLS = Literal["", "tls1.2", "tls1.3"]


def _prefix(value: str) -> str:
    if value and not value.startswith("/"):
        msg = "must begin with a slash, such as /registry/"
        raise ValueError(msg)
    # Distribution's router adds the slash, too.
    return f"{value.rstrip('/')}/" if value else value


def _url(value: str) -> str:
    scheme, found, rest = value.partition("://")
    is_web = found and scheme in ("http", "https") and rest.partition("/")[0]
    if value and not (is_web and value.isprintable() and " " not in value):
        msg = "must be a URL, such as https://registry.example.com"
        raise ValueError(msg)
    return value


def _client_auth(value: object) -> object:
    if value in ("request-client-cert", "require-any-client-cert"):
        msg = f"{value} takes any certificate unchecked, which proves nothing; take require-and-verify-client-cert"
        raise ValueError(msg)
    return value


def _host_name(value: str) -> str:
    # Source: RFC 8737: the check is made by name, so an address or a wildcard cannot be had by it.
    if _HOST_NAME.fullmatch(value) is None or not value.rpartition(".")[2].strip("0123456789"):
        msg = f"{value[:60]!r} must be a host's full name, such as registry.example.com; no wildcard, port or address"
        raise ValueError(msg)
    return value.lower()


class LetsEncrypt(Section):
    """``http.tls.letsencrypt``"""

    cachefile: Text = now("", "The folder where the account's key and the certificates are kept; the switch of it all.")
    email: Text = now("", "Whom the authority may write to.")
    hosts: list[Annotated[Text, AfterValidator(_host_name)]] = now(
        [], "Hosts to get certificates for; their port 443 must lead here."
    )
    directoryurl: Annotated[Text, AfterValidator(_url)] = now("", "Another authority's ACME directory.")


class TLS(Section):
    """``http.tls``"""

    certificate: Text = now(
        "", "PEM file of the certificate and its chain; with `key`, HTTPS is served. Read on change."
    )
    key: Text = now("", "PEM file of the certificate's private key. Read on change.")
    clientcas: list[Text] = now([], "PEM files of authorities; given, clients need a certificate of theirs.")
    clientauth: Annotated[ClientAuth, BeforeValidator(_client_auth)] = now(
        "", "Distribution: whether clients must have a certificate; empty: with `clientcas` they must."
    )
    minimumtls: MinimumTLS = now("", "The oldest version; empty is tls1.2.")
    ciphersuites: Annotated[list[Text], AfterValidator(check_suites)] = now(
        [], "Cipher suites of TLS 1.2, by Go's names; empty: the six of forward secrecy. Those of TLS 1.3 are fixed."
    )
    letsencrypt: LetsEncrypt = now(LetsEncrypt, "Certificates from Let's Encrypt, or another authority with ACME.")

    @property
    def is_on(self) -> bool:
        """True if HTTPS is served."""
        return bool(self.certificate or self.letsencrypt.cachefile)


class DebugTLS(Section):
    """``http.debug.tls``"""

    enabled: Flag = now(False, "True: the debug server speaks HTTPS.")
    certificate: Text = now("", "Else that of `http.tls`.")
    key: Text = now("", "Else that of `http.tls`.")
    clientcas: list[Text] = now([], "Else those of `http.tls`.")
    minimumtls: MinimumTLS = now("", "Else that of `http.tls`.")


def _metrics_path(value: str) -> str:
    if not value:
        return _METRICS_PATH
    if not value.startswith("/") or value.startswith("/debug/health"):
        msg = "a path that begins with a slash is needed, such as /metrics; /debug/health is taken"
        raise ValueError(msg)
    return value


class Prometheus(Section):
    """``http.debug.prometheus``"""

    enabled: Flag = now(False, "True: the debug server has metrics, for Prometheus.")
    path: Annotated[Text, AfterValidator(_metrics_path)] = now(_METRICS_PATH, "Where it has them.")


class Pprof(Section):
    """``http.debug.pprof``"""

    why_unused = "Profiles are Go's; `py-spy` looks at a running process from outside."

    enabled: Flag = unused(False, "Go's own, without function here; `py-spy` does it from outside.")


class Debug(Section):
    """``http.debug``"""

    addr: Text = now("", "Where the debug server (`/debug/health`) listens; empty: nowhere.")
    tls: DebugTLS = now(DebugTLS, "HTTPS for the debug server.")
    prometheus: Prometheus = now(Prometheus, "Metrics.")
    pprof: Pprof = unused(Pprof, "Profiles.")


class HTTP2(Section):
    """``http.http2``"""

    why_unused = "HTTP/2 is never spoken here, so that nothing can be switched off; a proxy in front speaks it."

    disabled: Flag = unused(False, "Refuse HTTP/2; it is never spoken, a proxy in front gives it.")


class H2C(Section):
    """``http.h2c``"""

    why_unused = "HTTP/2 is never spoken here; a proxy in front speaks it."

    enabled: Flag = unused(False, "Speak HTTP/2 without TLS.")


def _header_values(value: object) -> object:
    if not isinstance(value, dict):
        return value
    listed = {str(name): values if isinstance(values, list) else [values] for name, values in value.items()}
    spelt: dict[str, str] = {}
    for name, values in listed.items():
        if spelt.setdefault(name.lower(), name) != name:
            msg = f"{spelt[name.lower()][:60]!r} and {name[:60]!r} are one header; write it once, with all its values"
            raise ValueError(msg)
        if not _TOKEN.fullmatch(name):
            msg = "a header's name has letters, digits and hyphens only"
            raise ValueError(msg)
        if any(isinstance(item, str) and _CONTROL.search(item) for item in values):
            msg = "a header's value has no line break or control character"
            raise ValueError(msg)
    return {name: values for name, values in listed.items() if values}


class Limits(Section):
    """``http.limits``: how much one client may take."""

    uploadsessions: Count = now(
        2000,
        "Uploads that a client (a user, else an address) may have begun in a repository within an hour and not "
        "finished; 0: any number.",
    )


def _networks(value: list[str]) -> list[str]:
    for text in value:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            msg = f"an address or a network is needed, such as 10.0.0.0/8, not {text[:60]!r}"
            raise ValueError(msg) from None
    return value


class HTTP(Section):
    """``http``"""

    addr: Text = now(
        "127.0.0.1:5000", "Where to listen: `host:port`, `:port` for every interface; a path with `net: unix`."
    )
    net: Literal["", "tcp", "unix"] = now("tcp", "The kind of address.")
    host: Annotated[Text, AfterValidator(_url)] = now("", "The URL under which clients reach this registry.")
    prefix: Annotated[Text, AfterValidator(_prefix)] = now("", "What stands before `/v2/` in every path.")
    secret: Secret = now("", "Signs the states of uploads; the same on all nodes behind a load balancer.")
    relativeurls: Flag = now(False, "True: `Location` headers have no scheme and host.")
    draintimeout: Duration = now(timedelta(0), "How long requests in flight may go on after SIGTERM.")
    tls: TLS = now(TLS, "HTTPS.")
    headers: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_header_values)] = now(
        {}, "Added to every answer: a list of values for each name."
    )
    trustedproxies: Annotated[list[Text], AfterValidator(_networks)] = now(
        [],
        "Moorage: addresses or networks of proxies whose `X-Forwarded-For` is believed, besides those on this machine.",
    )
    limits: Limits = now(Limits, "How much one client may take.")
    debug: Debug = now(Debug, "The debug server.")
    http2: HTTP2 = unused(HTTP2, "HTTP/2.")
    h2c: H2C = unused(H2C, "HTTP/2 without TLS.")
