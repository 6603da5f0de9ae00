"""The folder of ``moorage up``: everything for one machine, made at the first start and found at the next.

Django is not needed here: the registry's process is forked before it is loaded.
"""

import json
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from moorage.atomic_writes import write_whole
from moorage.auth.addresses import is_any, is_localhost
from moorage.errors import ConfigurationError, Mistake
from moorage.gitlab_site.site_paths import EVENTS_PATH, TOKENS_PATH
from moorage.permissions import reason_of
from moorage.server.address import ListenAddress
from moorage.token_server.key_ring import KeyFolder

ISSUER = "moorage-control"
SERVICE = "container_registry"
"""The service's name in tokens; GitLab's, which the token endpoint asks for."""

_SECRET_BYTES = 32
_EVENTS_SECRET = re.compile(r"(?:Authorization: \[|notification_secret: )([0-9a-f]{64})")
_CONFIG_YML = """\
# Made by `moorage up`. The registry: docs/reference/configuration.md has every key.
version: 0.1
log:
  formatter: text
  accesslog:
    formatter: text
http:
  addr: {registry_addr}
  secret: {secret}
  draintimeout: 5s
{registry_https}storage:
  filesystem:
    rootdirectory: {images}
  delete:
    enabled: true
database:
  enabled: true{adopts}
  sqlite: {database}
  backgroundmigrations:
    enabled: true
auth:
  token:
    realm: {control_url}{tokens_path}
    service: {service}
    issuer: {issuer}
    rootcertbundle: {bundle}
notifications:
  endpoints:
    - name: control
      url: {events_url}
      headers:
        Authorization: [{events_secret}]
      refusals: true
      ignore:
        mediatypes: [application/octet-stream]
        actions: [pull]
"""
_CONTROL_YML = """\
# Made by `moorage up`. The control plane: docs/reference/control.md has every key.
http:
  addr: {control_addr}
  host: {control_url}
{control_https}database:
  sqlite: {control_database}
secretfile: secret
log: text
registry:
  enabled: true
  host: {registry_host}
  port: {registry_port}
  api_url: {registry_url}
  key: keys
  issuer: {issuer}
  notification_secret: {events_secret}
"""


_ISSUED = """\
  tls:
    letsencrypt:
      cachefile: {cache}
      hosts: {hosts}
"""
_NAMED = """\
  tls:
    certificate: {certificate}
    key: {key}
"""


@dataclass(frozen=True, slots=True)
class HTTPSSite:
    """Names under which a site is reached from elsewhere, by HTTPS."""

    domain: str
    """Of accounts and pages."""
    registry_domain: str
    certificate: Path | None = None
    """A file of one's own; None: an authority issues it by ACME."""
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class ServingFolder:
    """The folder, and its files."""

    path: Path
    is_new: bool = False
    """True if this start has made its files."""
    old_images: Path | None = None
    """The folder in which another registry, or ``moorage serve`` without accounts, kept images before; None: none."""

    @property
    def config(self) -> Path:
        """The registry's configuration."""
        return self.path / "config.yml"

    @property
    def control(self) -> Path:
        """The control plane's."""
        return self.path / "control.yml"


@dataclass(frozen=True, slots=True)
class _Place:
    """Values that are written at the first start only."""

    registry_addr: str
    control_addr: str
    data: Path
    adopt: Path | None
    https: HTTPSSite | None


def prepare_folder(
    path: Path,
    *,
    registry_addr: str,
    control_addr: str,
    data: Path | None = None,
    adopt: Path | None = None,
    https: HTTPSSite | None = None,
) -> ServingFolder:
    """Make *path* and its files, or find them; addresses and names are written at the first start only.

    Images and databases are to be in *data*; else they are in *path* too. *adopt*: a folder of another registry, whose
    images are to be served where they are. Without *https* it is plain HTTP.

    Raises:
        ConfigurationError: the folder cannot be used.
    """
    path = path.absolute()
    for key, addr in (("--addr", registry_addr), ("--control-addr", control_addr)):
        _check_address(key, addr)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        keys = KeyFolder(path / "keys")
        keys.prepare(time.time())
        images = path if data is None else data.absolute()
        place = _Place(registry_addr, control_addr, images, _adopted(adopt), https)
        return _with_files(path, keys, place)
    except OSError as exc:
        file = Path(exc.filename or path)
        raise ConfigurationError([Mistake("", f"cannot use {file}: {reason_of(exc, file, 'write')}")]) from None
    except ValueError as exc:
        raise ConfigurationError([Mistake("", f"{path / 'keys'} cannot be used: {exc}")]) from None


def _with_files(path: Path, keys: KeyFolder, place: "_Place") -> ServingFolder:
    folder = ServingFolder(path)
    if folder.control.exists() and folder.config.exists():
        _check_adopted(folder, place.adopt)
        return folder
    # Where an older start has put images, they stay: they are served from there.
    is_old = any((place.data / name).exists() for name in ("docker", "moorage.db"))
    images = place.adopt or (place.data if is_old else place.data / "registry")
    control_database = "control.db" if place.data == path else str(place.data / "control.db")
    named = _named(place.registry_addr)
    values = {
        "registry_addr": _quoted(place.registry_addr),
        "registry_host": named.rpartition(":")[0],
        "registry_port": named.rpartition(":")[2],
        "registry_url": f"http://{_reached(place.registry_addr)}/",
        "control_addr": _quoted(place.control_addr),
        "events_url": f"http://{_reached(place.control_addr)}{EVENTS_PATH}",
        "control_url": f"http://{_named(place.control_addr)}",
        "control_database": json.dumps(control_database),
        "secret": secrets.token_hex(_SECRET_BYTES),
        "events_secret": _events_secret(folder),
        "issuer": ISSUER,
        "service": SERVICE,
        "tokens_path": TOKENS_PATH,
        "images": json.dumps(str(images)),  # JSON's quotes are YAML's.
        "adopts": "" if place.adopt is None else "\n  adopt: true",
        "database": json.dumps(str((place.data if place.adopt else images) / "moorage.db")),
        "bundle": json.dumps(str(keys.bundle)),
        "registry_https": "",
        "control_https": "",
        **_https(path, place),
    }
    if not (path / "secret").exists():
        write_whole(path / "secret", f"{secrets.token_urlsafe(_SECRET_BYTES)}\n".encode())
    for file, text in ((folder.config, _CONFIG_YML), (folder.control, _CONTROL_YML)):
        if not file.exists():
            write_whole(file, text.format_map(values).encode())
    return ServingFolder(path, is_new=True, old_images=images if is_old or place.adopt else None)


def _adopted(folder: Path | None) -> Path | None:
    if folder is not None and not (folder / "docker" / "registry" / "v2").is_dir():
        message = f"{folder} has no docker/registry/v2: name the root directory of the other registry"
        raise ConfigurationError([Mistake("--adopt", message)])
    return None if folder is None else folder.absolute()


def _check_adopted(folder: ServingFolder, adopt: Path | None) -> None:
    """Refuse to adopt anything by a folder that has its configuration already, unless it says so."""
    if adopt is not None and json.dumps(str(adopt)) not in folder.config.read_text(encoding="utf-8"):
        message = f"{folder.config} is there and names other images: name a new folder, or adopt by that file"
        raise ConfigurationError([Mistake("--adopt", message)])


def _https(path: Path, place: _Place) -> dict[str, str]:
    """Values that differ where people come by HTTPS: each server has a certificate, and each calls the other by it."""
    https = place.https
    if https is None:
        return {}
    registry_port, control_port = (addr.rpartition(":")[2] for addr in (place.registry_addr, place.control_addr))
    control = f"https://{https.domain}" + ("" if control_port == "443" else f":{control_port}")
    registry = f"https://{https.registry_domain}" + ("" if registry_port == "443" else f":{registry_port}")
    if https.certificate and https.key:
        named = _NAMED.format(
            certificate=json.dumps(str(https.certificate.absolute())), key=json.dumps(str(https.key.absolute()))
        )
        tls = (named, named)
    else:
        # One folder: whichever of the two is asked at port 443 answers the authority's check.
        cache, names = json.dumps(str(path / "certificates")), dict.fromkeys((https.domain, https.registry_domain))
        both = _ISSUED.format(cache=cache, hosts=json.dumps(list(names)))
        tls = (_ISSUED.format(cache=cache, hosts=json.dumps([https.registry_domain])), both)
    redirect = '  redirect: "0.0.0.0:80"\n' if control_port == "443" else ""
    return {
        "registry_https": f"  host: {registry}\n{tls[0]}",
        "control_https": f"{tls[1]}{redirect}",
        "registry_host": https.registry_domain,
        "registry_url": f"{registry}/",
        "control_url": control,
        "events_url": f"{control}{EVENTS_PATH}",
    }


def _events_secret(folder: ServingFolder) -> str:
    """The secret of events: that of the file which is there already, if only one is."""
    for file in (folder.config, folder.control):
        found = _EVENTS_SECRET.search(file.read_text(encoding="utf-8")) if file.exists() else None
        if found:
            return found[1]
    return secrets.token_hex(_SECRET_BYTES)


def _named(addr: str) -> str:
    """The address by a name, the same for both servers.

    New clients ask for no token at a private address that is not the registry's own host and port; and none at a name
    of the loopback that is not the registry's.
    """
    host, _, port = addr.rpartition(":")
    return f"localhost:{port}" if is_localhost(host.strip("[]")) else addr


def _quoted(addr: str) -> str:
    """The address as YAML's text: one of IPv6 would be a list."""
    return json.dumps(addr) if addr.startswith("[") else addr


def _reached(addr: str) -> str:
    """The address as it is called from this machine."""
    host, _, port = addr.rpartition(":")
    return f"127.0.0.1:{port}" if is_any(host.strip("[]")) else addr


def _check_address(key: str, addr: str) -> None:
    host, port = ListenAddress(addr, key=key).host_and_port
    if not host or not port:
        raise ConfigurationError([Mistake(key, "a host and a port are needed, such as 127.0.0.1:5000")])
