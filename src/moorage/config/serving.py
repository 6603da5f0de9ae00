"""``log``, ``http``, ``reporting`` and ``profiling``."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from moorage.config.section import Duration, Flag, Secret, Section, Text, later, now


class AccessLog(Section):
    """``log.accesslog``"""

    disabled: Flag = now(False, "Whether to write no line for each request.")
    formatter: Literal["json", "text"] = now("json", "How these lines look.")


class Log(Section):
    """``log``"""

    accesslog: AccessLog = now(AccessLog, "A line for each request.")
    level: Literal["error", "warn", "info", "debug", "trace"] = now("info", "The least important lines to write.")
    formatter: Literal["json", "text"] = now("json", "How lines look.")
    output: Literal["stdout", "stderr", "discard"] = now("stdout", "Where lines go.")
    fields: dict[str, object] = now({}, "Added to every line.")
    hooks: list[object] = later([], "Distribution's mail hooks.")


class LetsEncrypt(Section):
    """``http.tls.letsencrypt``"""

    cachefile: Text = later("", "Where certificates are kept.")
    email: Text = later("", "Whom the authority may write to.")
    hosts: list[Text] = later([], "Hosts to get certificates for.")
    directoryurl: Text = later("", "Another authority's ACME directory.")


class TLS(Section):
    """``http.tls``"""

    certificate: Text = now("", "PEM file of the certificate and its chain; with `key`, HTTPS is served.")
    key: Text = now("", "PEM file of the certificate's private key.")
    clientcas: list[Text] = later([], "PEM files of authorities; given, clients need a certificate of theirs.")
    clientauth: Text = later("", "Distribution: how client certificates are checked.")
    minimumtls: Literal["", "tls1.0", "tls1.1", "tls1.2", "tls1.3"] = now("", "The oldest version; at least tls1.2.")
    ciphersuites: list[Text] = later([], "Cipher suites of TLS 1.2 and older, by Go's names.")
    letsencrypt: LetsEncrypt = later(LetsEncrypt, "Certificates from Let's Encrypt.")


class DebugTLS(Section):
    """``http.debug.tls``"""

    enabled: Flag = later(False, "Whether the debug server speaks HTTPS.")
    certificate: Text = later("", "Else that of `http.tls`.")
    key: Text = later("", "Else that of `http.tls`.")
    clientcas: list[Text] = later([], "Else those of `http.tls`.")
    minimumtls: Text = later("", "Else that of `http.tls`.")


class Prometheus(Section):
    """``http.debug.prometheus``"""

    enabled: Flag = later(False, "Whether the debug server has metrics.")
    path: Text = later("/metrics", "Where it has them.")


class Pprof(Section):
    """``http.debug.pprof``"""

    enabled: Flag = later(False, "Whether the debug server has profiles.")


class Debug(Section):
    """``http.debug``"""

    addr: Text = now("", "Where the debug server (`/debug/health`) listens; empty: nowhere.")
    tls: DebugTLS = later(DebugTLS, "HTTPS for the debug server.")
    prometheus: Prometheus = later(Prometheus, "Metrics.")
    pprof: Pprof = later(Pprof, "Profiles.")


class HTTP2(Section):
    """``http.http2``"""

    disabled: Flag = later(False, "Whether to refuse HTTP/2; it is never spoken, a proxy in front gives it.")


class H2C(Section):
    """``http.h2c``"""

    enabled: Flag = later(False, "Whether to speak HTTP/2 without TLS.")


def _prefix(value: str) -> str:
    if value and not (value.startswith("/") and value.endswith("/")):
        msg = "must begin and end with a slash, such as /registry/"
        raise ValueError(msg)
    return value


def _url(value: str) -> str:
    scheme, found, rest = value.partition("://")
    if value and (not found or scheme not in ("http", "https") or not rest.partition("/")[0]):
        msg = "must be a URL, such as https://registry.example.com"
        raise ValueError(msg)
    return value


def _header_values(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {str(name): tuple(_listed(values)) for name, values in value.items()}


def _listed(values: object) -> list[str]:
    found = [str(item) for item in (values if isinstance(values, list) else [values])]
    if any("\r" in item or "\n" in item for item in found):
        msg = "a header's value has no line break"
        raise ValueError(msg)
    return found


class HTTP(Section):
    """``http``"""

    addr: Text = now(":5000", "Where to listen: `host:port`, `:port` for every interface; a path with `net: unix`.")
    net: Literal["", "tcp", "unix"] = now("tcp", "The kind of address.")
    host: Annotated[Text, AfterValidator(_url)] = now("", "The URL under which clients reach this registry.")
    prefix: Annotated[Text, AfterValidator(_prefix)] = now("", "What stands before `/v2/` in every path.")
    secret: Secret = now("", "Signs the states of uploads; the same on all nodes behind a load balancer.")
    relativeurls: Flag = now(False, "Whether `Location` headers have no scheme and host.")
    draintimeout: Duration = now(timedelta(0), "How long requests in flight may go on after SIGTERM.")
    tls: TLS = now(TLS, "HTTPS.")
    headers: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_header_values)] = now(
        {}, "Added to every answer below `/v2/`: a list of values for each name."
    )
    debug: Debug = now(Debug, "The debug server.")
    http2: HTTP2 = later(HTTP2, "HTTP/2.")
    h2c: H2C = later(H2C, "HTTP/2 without TLS.")


class Sentry(Section):
    """``reporting.sentry``"""

    enabled: Flag = later(False, "Whether to report errors to Sentry.")
    dsn: Secret = later("", "Where to.")
    environment: Text = later("", "The name of this installation there.")


class Reporting(Section):
    """``reporting``"""

    sentry: Sentry = later(Sentry, "Errors to Sentry.")


class Stackdriver(Section):
    """``profiling.stackdriver``"""

    enabled: Flag = later(False, "Whether to send profiles to Google.")
    service: Text = later("", "Name of the service there.")
    serviceversion: Text = later("", "Its version.")
    projectid: Text = later("", "The project.")
    keyfile: Text = later("", "JSON file of the service account's key.")


class Profiling(Section):
    """``profiling``"""

    stackdriver: Stackdriver = later(Stackdriver, "Google's profiler.")
