"""The files of a site: ``config.yml``, ``control.yml``, keys and the sites of nginx."""

import secrets as random_secrets
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from moorage.gitlab_site.linux_package import PASSED_ON, FrontEnd, PackageSite, endpoints
from moorage.gitlab_site.nginx_site import nginx_site
from moorage.gitlab_site.ruby_literals import RubyValue
from moorage.gitlab_site.site_paths import EVENTS_PATH, TOKENS_PATH

CONFIG, CONTROL, NGINX, ENVIRONMENT = "config.yml", "control.yml", "nginx.conf", "registry.env"
KEY, CERTIFICATE = "gitlab-registry.key", "gitlab-registry.crt"
KEYS = "keys"
"""Folder of keys that are made here, where the site has none of its own."""
CONTROL_ADDR = "127.0.0.1:8080"
SERVICE = "container_registry"
HEADER = "# Written by moorage config from-gitlab-rb; the next run replaces it.\n"
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """A file to write."""

    name: str
    """Its name in the folder of the site; or its path, where the settings name one elsewhere."""
    content: bytes = field(repr=False)
    is_secret: bool = False


def site_files(site: PackageSite, folder: Path, *, kept: Callable[[str], str]) -> Iterator[SiteFile]:
    """Yield the files of a site that is to be in *folder*.

    *kept* returns the text of a file that an earlier run wrote, or the empty string: a secret is made only once.
    """
    http_secret = site.http_secret or kept("http.secret").strip() or random_secrets.token_hex(_SECRET_BYTES)
    control_secret = kept("control.secret").strip() or random_secrets.token_hex(_SECRET_BYTES)
    yield SiteFile(name="http.secret", content=f"{http_secret}\n".encode(), is_secret=True)
    if signs_tokens(site):
        yield SiteFile(name="control.secret", content=f"{control_secret}\n".encode(), is_secret=True)
    if site.notification_secret:
        yield SiteFile(name="notification.secret", content=f"{site.notification_secret}\n".encode(), is_secret=True)
    if site.pair.private and not site.pair.stays_at:
        yield SiteFile(name=site.key_path or KEY, content=_with_end(site.pair.private), is_secret=True)
    if site.pair.certificate:
        yield SiteFile(name=CERTIFICATE, content=_with_end(site.pair.certificate))
    yield _yaml(CONFIG, _config(site, http_secret, _certificate(site, folder)))
    if signs_tokens(site):
        yield _yaml(CONTROL, _control(site, _key(site, folder)))
    if nginx := "\n".join(nginx_site(front, f"http://{addr}") for front, addr in fronts(site)):
        yield SiteFile(name=NGINX, content=(HEADER + nginx).encode())
    if site.env:
        lines = [f"{name}={_env_value(value)}\n" for name, value in site.env.items()]
        yield SiteFile(name=ENVIRONMENT, content=(HEADER + "".join(lines)).encode(), is_secret=True)


def _key(site: PackageSite, folder: Path) -> str:
    """The file of the key that signs; empty: it is on another node."""
    if site.pair.private:
        return site.pair.stays_at or str(folder / (site.key_path or KEY))
    if needs_keys(site):
        return str(folder / KEYS)
    return "" if site.pair.certificate else site.key_path


def _certificate(site: PackageSite, folder: Path) -> str:
    """The file of the certificate that is trusted."""
    if site.pair.certificate:
        return str(folder / CERTIFICATE)
    return str(folder / KEYS / "registry.pem") if needs_keys(site) else site.certificate_path


def needs_keys(site: PackageSite) -> bool:
    """Return whether keys have to be made, as the site names none."""
    return not (site.pair.private or site.pair.certificate or site.key_path or site.certificate_path)


def signs_tokens(site: PackageSite) -> bool:
    """Return whether the key is here: a node of the registry alone has its certificate only."""
    return bool(_key(site, Path()))


def _with_end(text: str) -> bytes:
    return (text if text.endswith("\n") else f"{text}\n").encode()


def _yaml(name: str, content: Mapping[str, Any]) -> SiteFile:
    text = yaml.safe_dump(_plain(content), sort_keys=False, allow_unicode=True, width=120)
    return SiteFile(name=name, content=(HEADER + text).encode(), is_secret=True)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any tree of YAML
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def _env_value(value: RubyValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return shlex.quote("" if value is None else str(value))


def _config(site: PackageSite, secret: str, certificate: str) -> dict[str, Any]:
    given = site.sections
    http: dict[str, Any] = {"addr": site.addr, "secret": secret, "headers": {"X-Content-Type-Options": ["nosniff"]}}
    if debug := given.get("debug_addr"):
        http["debug"] = {"addr": debug, "prometheus": {"enabled": True, "path": "/metrics"}}
    token: dict[str, Any] = {
        "realm": f"{site.token_realm.rstrip('/')}{TOKENS_PATH}",
        "service": SERVICE,
        "issuer": site.issuer,
    }
    token |= {"rootcertbundle": certificate, "autoredirect": given.get("autoredirect", False)}
    found: dict[str, Any] = {
        "version": 0.1,
        "log": {
            "level": given.get("log_level", "info"),
            "formatter": given.get("log_formatter", "text"),
            "fields": {"service": "registry", "environment": "production"},
        },
        "http": http,
        "storage": _storage(site),
        "auth": {"token": token},
        "health": {"storagedriver": _health(given)},
        "validation": {"disabled": given.get("validation_enabled") is not True},
    }
    if notified := endpoints(given.get("notifications")):
        found["notifications"] = {"endpoints": [_endpoint(one, given) for one in notified]}
    if given.get("compatibility_schema1_enabled"):
        found["compatibility"] = {"schema1": {"enabled": True}}
    return found | {name: given[name] for name in PASSED_ON if name in given}


def _health(given: Mapping[str, RubyValue]) -> dict[str, Any]:
    return {"enabled": given.get("health_storagedriver_enabled", True), "interval": "10s", "threshold": 3}


def _storage(site: PackageSite) -> dict[str, Any]:
    """The given storage, with the package's cache and right to delete (OMN-013, OMN-014)."""
    usual = {
        "cache": {"blobdescriptor": "inmemory"},
        "delete": {"enabled": site.sections.get("storage_delete_enabled", True)},
    }
    return {
        **(site.storage or {"filesystem": {"rootdirectory": site.path}}),
        **{name: value for name, value in usual.items() if name not in site.storage},
    }


def _endpoint(one: Mapping[str, RubyValue], given: Mapping[str, RubyValue]) -> dict[str, Any]:
    """An endpoint with the package's defaults (OMN-020)."""
    own = one.get("headers")
    usual = given.get("default_notifications_headers")
    headers = {**(usual if isinstance(usual, Mapping) else {}), **(own if isinstance(own, Mapping) else {})}
    found: dict[str, Any] = {
        "timeout": given.get("default_notifications_timeout", "500ms"),
        "maxretries": given.get("default_notifications_maxretries", one.get("threshold", 5)),
        "backoff": given.get("default_notifications_backoff", "1s"),
        **{name: value for name, value in one.items() if name != "threshold"},
    }
    return found | ({"headers": headers} if headers else {})


def unheard_endpoints(site: PackageSite) -> Iterator[str]:
    """Yield the names of endpoints that are the control plane's own and whose header is not its secret."""
    if site.site is None or not (site.runs_registry and signs_tokens(site)):
        return
    for one in endpoints(site.sections.get("notifications")):
        url = str(one.get("url", ""))
        given = _endpoint(one, site.sections).get("headers", {}).get("Authorization")
        values = given if isinstance(given, list) else [given]
        if url.rstrip("/") == f"{site.site.url}{EVENTS_PATH}" and site.notification_secret not in values:
            yield str(one.get("name", url))


def _control(site: PackageSite, key: str) -> dict[str, Any]:
    registry: dict[str, Any] = {
        "enabled": site.is_enabled,
        "host": site.shown_host or "localhost",
        "port": site.shown_port,
        "api_url": site.api_url,
        "key": key,
        "path": site.path,
        "issuer": site.issuer,
    }
    if site.notification_secret:
        registry["notification_secretfile"] = "notification.secret"
    http: dict[str, Any] = {"addr": CONTROL_ADDR, "host": site.site.url if site.site else ""}
    return {
        "http": http | {"trustedproxies": ["127.0.0.1"]},
        "database": {"sqlite": "control.db"},
        "secretfile": "control.secret",
        "registry": {name: value for name, value in registry.items() if value is not None},
        "gitlab": {"default_projects_features": {"container_registry": site.has_feature_by_default}},
    }


def fronts(site: PackageSite) -> Sequence[tuple[FrontEnd, str]]:
    """Return the hosts that nginx has on this node, each with the address of the server behind it."""
    found = []
    if site.registry and site.runs_registry:
        found.append((site.registry, site.addr))
    if site.site and signs_tokens(site):
        found.append((site.site, CONTROL_ADDR))
    return found
