"""The site that a ``gitlab.rb`` describes: addresses, keys, storage; with the package's defaults.

Source: GitLab's Rails facts OMN-001 to OMN-026.
"""

import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from moorage.gitlab_site.package_settings import PackageSettings
from moorage.gitlab_site.ruby_literals import RubyValue

DEFAULT_ADDR = "127.0.0.1:5000"
DEFAULT_PATH = "/var/opt/gitlab/gitlab-rails/shared/registry"
DEFAULT_ISSUER = "omnibus-gitlab-issuer"
LETS_ENCRYPT_PORT = 5050
"""The port of the registry without a URL of its own, if the package gets its certificates from Let's Encrypt."""
TLS_FOLDER = "/etc/gitlab/ssl"
_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEnd:
    """A host of nginx, and how it is reached."""

    scheme: str
    host: str
    port: int
    """The port that people see."""
    listen_port: int
    has_tls: bool
    """True if nginx itself speaks TLS, not a balancer before it."""
    certificate: str
    key: str
    redirects_http: bool

    @property
    def url(self) -> str:
        """The address as people type it."""
        usual = _USUAL_PORTS[self.scheme] == self.port
        return f"{self.scheme}://{self.host}" if usual else f"{self.scheme}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """The key that signs tokens, and the certificate that they are checked by."""

    private: str = field(default="", repr=False)
    certificate: str = ""
    stays_at: str = ""
    """The path of a key that is in a file of its own, and is not written again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSite:
    """The registry of a site of the Linux package."""

    is_enabled: bool
    runs_registry: bool
    """False: the registry is another machine's."""
    site: FrontEnd | None
    """GitLab itself, in our case the control plane."""
    registry: FrontEnd | None
    addr: str
    api_url: str
    issuer: str
    path: str
    token_realm: str
    pair: KeyPair
    key_path: str
    """Empty: the package's own place."""
    certificate_path: str
    """As above."""
    http_secret: str = field(repr=False)
    notification_secret: str = field(repr=False)
    shown_host: str
    shown_port: int | None
    has_feature_by_default: bool
    sections: Mapping[str, RubyValue] = field(repr=False)
    """Values of ``config.yml``, and what becomes of them."""
    storage: Mapping[str, RubyValue] = field(repr=False)
    env: Mapping[str, RubyValue] = field(repr=False)


def package_site(settings: PackageSettings, secrets: Mapping[str, str]) -> PackageSite:
    """Gather the site from its settings and from the ``registry`` part of ``gitlab-secrets.json``.

    What is wrong is in ``settings.mistakes`` afterwards.
    """
    site = _front_end(settings, "external_url", settings.text("external_url"), "nginx")
    registry = _registry_front_end(settings, site)
    _check_url_of_registry(settings, registry)
    runs = settings.flag("registry", "enable", default=registry is not None)
    addr = settings.text("registry", "registry_http_addr", DEFAULT_ADDR)
    if registry and site and registry.host == site.host and addr.endswith(f":{registry.listen_port}"):
        settings.object("registry_external_url", "", f"its port must not be the registry's own, {addr}")
    return PackageSite(
        is_enabled=settings.flag("gitlab_rails", "registry_enabled", default=runs),
        runs_registry=runs,
        site=site,
        registry=registry,
        addr=addr,
        api_url=settings.text("gitlab_rails", "registry_api_url", f"http://{addr}"),
        issuer=settings.text("gitlab_rails", "registry_issuer", DEFAULT_ISSUER),
        path=settings.text("gitlab_rails", "registry_path", DEFAULT_PATH),
        token_realm=settings.text("registry", "token_realm", site.url if site else ""),
        pair=_pair(settings, secrets),
        key_path=settings.text("gitlab_rails", "registry_key_path"),
        certificate_path=settings.text("registry", "rootcertbundle"),
        http_secret=settings.text("registry", "http_secret", secrets.get("http_secret", "")),
        notification_secret=_notification_secret(settings, secrets),
        shown_host=settings.text("gitlab_rails", "registry_host", registry.host if registry else ""),
        shown_port=settings.port("gitlab_rails", "registry_port") or (registry.port if registry else None),
        has_feature_by_default=settings.flag(
            "gitlab_rails", "gitlab_default_projects_features_container_registry", default=True
        ),
        sections=_sections(settings),
        storage=settings.mapping("registry", "storage"),
        env=settings.mapping("registry", "env"),
    )


def _registry_front_end(settings: PackageSettings, site: FrontEnd | None) -> FrontEnd | None:
    given = settings.text("registry_external_url")
    is_automatic = settings.value("letsencrypt", "enable") is True and settings.value("registry", "enable") is not False
    if not given and site and site.scheme == "https" and is_automatic:
        given = f"https://{site.host}:{LETS_ENCRYPT_PORT}"
    return _front_end(settings, "registry_external_url", given, "registry_nginx")


def _front_end(settings: PackageSettings, name: str, url: str, nginx: str) -> FrontEnd | None:
    """The host of nginx for a URL; None if there is none, or none that can be used."""
    settings.value(nginx, "enable")
    chosen = settings.port(nginx, "listen_port")
    has_tls = settings.value(nginx, "listen_https")
    redirects = settings.flag(nginx, "redirect_http_to_https", default=False)
    certificate, key = settings.text(nginx, "ssl_certificate"), settings.text(nginx, "ssl_certificate_key")
    if not url:
        return None
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        settings.object(name, "", "is no URL")
        return None
    if parts.scheme not in _USUAL_PORTS or not parts.hostname:
        settings.object(name, "", "must include a scheme and a full host name, such as https://gitlab.example.com:5050")
        return None
    host = parts.hostname
    return FrontEnd(
        scheme=parts.scheme,
        host=host,
        port=port or _USUAL_PORTS[parts.scheme],
        listen_port=chosen or port or _USUAL_PORTS[parts.scheme],
        has_tls=parts.scheme == "https" if has_tls is None else has_tls is True,
        certificate=certificate or f"{TLS_FOLDER}/{host}.crt",
        key=key or f"{TLS_FOLDER}/{host}.key",
        redirects_http=redirects,
    )


def _check_url_of_registry(settings: PackageSettings, registry: FrontEnd | None) -> None:
    path = urllib.parse.urlsplit(settings.text("registry_external_url")).path if registry else ""
    if path not in ("", "/"):
        settings.object("registry_external_url", "", f"must have no path, and {path} is one: clients ask at /v2/")


def _pair(settings: PackageSettings, secrets: Mapping[str, str]) -> KeyPair:
    private = settings.text("registry", "internal_key")
    if not private:
        private = settings.text("gitlab_rails", "internal_key", secrets.get("internal_key", ""))
    certificate = settings.text("registry", "internal_certificate", secrets.get("internal_certificate", ""))
    return KeyPair(private=private, certificate=certificate)


def _notification_secret(settings: PackageSettings, secrets: Mapping[str, str]) -> str:
    """The secret of events: GitLab's own setting, else that of an endpoint named ``geo_event`` (OMN-020)."""
    if given := settings.text("gitlab_rails", "registry_notification_secret"):
        return given
    for endpoint in endpoints(settings.value("registry", "notifications")):
        headers = endpoint.get("headers")
        values = headers.get("Authorization") if isinstance(headers, Mapping) else None
        if endpoint.get("name") == "geo_event" and values:
            return str(values if isinstance(values, str) else list(values)[-1] if isinstance(values, Sequence) else "")
    return secrets.get("notification_secret", "")


def endpoints(given: RubyValue) -> Sequence[Mapping[str, RubyValue]]:
    """Return the endpoints of notifications, whatever else stands in their place."""
    found = given if isinstance(given, Sequence) and not isinstance(given, str) else []
    return [one for one in found if isinstance(one, Mapping)]


PASSED_ON = ("database", "gc", "redis", "middleware", "reporting", "rate_limiter")
"""Sections of ``config.yml`` that the package hands on as they are (OMN-022)."""
_ITEMS = (
    "log_level",
    "log_formatter",
    "debug_addr",
    "validation_enabled",
    "autoredirect",
    "compatibility_schema1_enabled",
    "storage_delete_enabled",
    "health_storagedriver_enabled",
    "notifications",
    "default_notifications_timeout",
    "default_notifications_threshold",
    "default_notifications_maxretries",
    "default_notifications_backoff",
    "default_notifications_headers",
)
_WITHOUT_MEANING = ("username", "group", "uid", "gid", "dir", "log_directory", "shell", "consul_service_name")
"""Of the package's own processes and folders."""


def _sections(settings: PackageSettings) -> Mapping[str, RubyValue]:
    for name in _WITHOUT_MEANING:
        settings.value("registry", name)
    found = {name: settings.value("registry", name) for name in (*PASSED_ON, *_ITEMS)}
    for name in PASSED_ON:
        settings.mapping("registry", name)
    return {name: value for name, value in found.items() if value is not None}
