"""Files of configuration and keys that a backup keeps: those that the two configurations name."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from moorage.atomic_writes import write_whole
from moorage.backup.backup_folder import make_folder
from moorage.backup.backup_record import KeptFile
from moorage.config import Config, HtpasswdAuth, TokenAuth
from moorage.config.sections.storage_gcs import GCSSection
from moorage.control.configuration import ControlConfiguration

_PRIVATE = 0o600
_SERVER_FILE = "auth.token.server"
_WITH_PATHS = ("config.yml", "control.yml", _SERVER_FILE)
"""Kept files that name others."""
_MADE_LATER = "letsencrypt.cachefile"
"""A key whose file comes with the first certificate."""


def named_by_registry(config: Config) -> Iterator[tuple[str, Path]]:
    """Yield the files and folders that a registry's configuration names, with their keys."""
    auth, database = config.auth, config.database
    named: list[tuple[str, str]] = []
    if isinstance(auth, TokenAuth):
        named += [(f"auth.token.{key}", getattr(auth, key)) for key in ("rootcertbundle", "jwks", "server")]
    if isinstance(auth, HtpasswdAuth):
        named.append(("auth.htpasswd.path", auth.path))
    named += _tls_files("http.tls", config.http.tls, "clientcas")
    named += _tls_files("http.debug.tls", config.http.debug.tls, "clientcas")
    named.append(("http.tls.letsencrypt.cachefile", config.http.tls.letsencrypt.cachefile))
    named += [(f"database.{key}", getattr(database, key)) for key in ("sslcert", "sslkey", "sslrootcert")]
    if isinstance(config.storage.driver, GCSSection):
        named.append((f"storage.{config.storage.name}.keyfile", config.storage.driver.keyfile))
    for each in config.middleware.get("storage", ()):
        named.append((f"middleware.storage {each.name}.privatekey", str(each.options.get("privatekey") or "")))
    named += _tls_files("redis.tls", config.redis.tls, "rootcas")
    for use in ("cache", "ratelimiter", "loadbalancing"):
        named += _tls_files(f"redis.{use}.tls", getattr(config.redis, use).tls, "rootcas")
    for key, path in named:
        if path:
            yield key, Path(path).absolute()
    if isinstance(auth, TokenAuth) and auth.server:
        yield from _named_by_token_server(Path(auth.server))


def named_by_control(configuration: ControlConfiguration, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files and folders that a ``control.yml`` in *folder* names, with their keys."""
    database, registry, tls = configuration.database, configuration.registry, configuration.http.tls
    named = [
        ("secretfile", configuration.secretfile),
        ("database.passwordfile", database.passwordfile),
        ("database.sslrootcert", database.sslrootcert),
        ("registry.key", registry.key),
        ("registry.notification_secretfile", registry.notification_secretfile),
        ("sign_in.oidc.client_secretfile", configuration.sign_in.oidc.client_secretfile),
        ("http.tls.certificate", tls.certificate),
        ("http.tls.key", tls.key),
        ("http.tls.letsencrypt.cachefile", tls.letsencrypt.cachefile),
    ]
    for name, server in configuration.ldap.servers.items():
        named.append((f"ldap.servers.{name}.passwordfile", server.passwordfile))
        named.append((f"ldap.servers.{name}.tls_options.ca_file", server.tls_options.ca_file))
    for key, path in named:
        if path:
            yield f"control: {key}", (folder / path).absolute()


def _tls_files(section: str, tls: Any, authorities: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - one of several
    """Yield the files of TLS, whose *authorities* are a list under another name for servers and for clients."""
    yield f"{section}.certificate", tls.certificate
    yield f"{section}.key", tls.key
    for path in getattr(tls, authorities):
        yield f"{section}.{authorities}", path


def keep(named: Sequence[tuple[str, Path]], folder: Path) -> list[KeptFile]:
    """Copy files, and what is in folders, into *folder*: each one once, for its owner only.

    Raises:
        OSError: one cannot be read or written.
    """
    kept: dict[Path, KeptFile] = {}
    for key, place in named:
        for path in [place] if place.is_file() else _files_below(place):
            if path in kept:
                continue
            file = f"{len(kept):02}-{path.name}"
            target = folder / file
            target.touch(mode=_PRIVATE)
            shutil.copyfile(path, target)
            kept[path] = KeptFile(key=key, was=str(path), file=f"{folder.name}/{file}")
    return list(kept.values())


def not_there(named: Sequence[tuple[str, Path]]) -> list[str]:
    """Return what is to be said of files that are named and not there, so that nothing can be kept of them."""
    return [f"{path} is not there: {key}" for key, path in named if not key.endswith(_MADE_LATER) and not path.exists()]


def _files_below(folder: Path) -> list[Path]:
    """Return the files of a folder that may not be there, in their order; one that cannot be read is no empty one."""
    if not folder.is_dir():
        return []
    found: list[Path] = []
    for name, _, files in os.walk(folder, onerror=_raised):
        found += [path for each in files if (path := Path(name, each)).is_file()]
    return sorted(found)


def _raised(exc: OSError) -> None:
    raise exc


def put_back(kept: Sequence[KeptFile], source: Path, *, was: Path, now: Path) -> None:
    """Put files into the folder *now* that were in *was*; in the configurations among them its name is the new one.

    Raises:
        OSError: one cannot be read or written.
    """
    for each in kept:
        target = now / Path(each.was).relative_to(was)
        if target.exists():
            continue  # It was put back whole, by a restore that was ended before it was done.
        make_folder(target.parent, mode=0o700)
        content = (source / each.file).read_bytes()
        if each.key in _WITH_PATHS:
            content = content.replace(f"{was}/".encode(), f"{now}/".encode())
        write_whole(target, content, mode=_PRIVATE)


def _named_by_token_server(server: Path) -> Iterator[tuple[str, Path]]:
    """Yield what the file of a token server names: its users and rules are nowhere else."""
    from moorage.token_server.settings import TokenServerSettings  # noqa: PLC0415 - who has none need not wait for it

    found = TokenServerSettings.read(server)
    named = [(key, getattr(found, key)) for key in ("users", "rules", "keys")]
    named += [(f"tls.{key}", path) for key, path in found.tls.model_dump().items()]
    for key, path in named:
        if path:
            yield f"{key} of {_SERVER_FILE}", Path(path).absolute()
