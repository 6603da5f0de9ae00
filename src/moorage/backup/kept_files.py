"""Files of configuration and keys that a backup keeps: those that the two configurations name."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from moorage.backup.backup_record import KeptFile
from moorage.config import Config, HtpasswdAuth, TokenAuth
from moorage.control.configuration import ControlConfiguration

_PRIVATE = 0o600


def named_by_registry(config: Config) -> Iterator[tuple[str, Path]]:
    """Yield the files and folders that a registry's configuration names, with their keys."""
    auth, tls, database = config.auth, config.http.tls, config.database
    named: list[tuple[str, str]] = []
    if isinstance(auth, TokenAuth):
        named += [(f"auth.token.{key}", getattr(auth, key)) for key in ("rootcertbundle", "jwks", "server")]
    if isinstance(auth, HtpasswdAuth):
        named.append(("auth.htpasswd.path", auth.path))
    named += [("http.tls.certificate", tls.certificate), ("http.tls.key", tls.key)]
    named += [("http.tls.clientcas", path) for path in tls.clientcas]
    named.append(("http.tls.letsencrypt.cachefile", tls.letsencrypt.cachefile))
    named += [(f"database.{key}", getattr(database, key)) for key in ("sslcert", "sslkey", "sslrootcert")]
    for key, path in named:
        if path:
            yield key, Path(path).absolute()
    if isinstance(auth, TokenAuth) and auth.server:
        yield "keys of auth.token.server", _keys_of(Path(auth.server))


def named_by_control(configuration: ControlConfiguration, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files and folders that a ``control.yml`` in *folder* names, with their keys."""
    database, registry, tls = configuration.database, configuration.registry, configuration.http.tls
    for key, path in (
        ("secretfile", configuration.secretfile),
        ("database.passwordfile", database.passwordfile),
        ("database.sslrootcert", database.sslrootcert),
        ("registry.key", registry.key),
        ("registry.notification_secretfile", registry.notification_secretfile),
        ("http.tls.certificate", tls.certificate),
        ("http.tls.key", tls.key),
    ):
        if path:
            yield f"control: {key}", (folder / path).absolute()


def keep(named: Sequence[tuple[str, Path]], folder: Path) -> list[KeptFile]:
    """Copy files, and what is in folders, into *folder*: each one once, for its owner only.

    Raises:
        OSError: one cannot be read or written.
    """
    kept: dict[Path, KeptFile] = {}
    for key, place in named:
        for path in [place] if place.is_file() else sorted(each for each in place.rglob("*") if each.is_file()):
            if path in kept:
                continue
            file = f"{len(kept):02}-{path.name}"
            target = folder / file
            target.touch(mode=_PRIVATE)
            shutil.copyfile(path, target)
            kept[path] = KeptFile(key=key, was=str(path), file=f"{folder.name}/{file}")
    return list(kept.values())


def put_back(kept: Sequence[KeptFile], source: Path, *, was: Path, now: Path) -> None:
    """Put files into the folder *now* that were in *was*; in the two configurations its name is the new one.

    Raises:
        OSError: one cannot be read or written.
    """
    for each in kept:
        target = now / Path(each.was).relative_to(was)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = (source / each.file).read_bytes()
        if each.key in ("config.yml", "control.yml"):
            content = content.replace(f"{was}/".encode(), f"{now}/".encode())
        target.touch(mode=_PRIVATE)
        target.write_bytes(content)


def _keys_of(server: Path) -> Path:
    """The folder of a token server's keys."""
    from moorage.token_server.settings import TokenServerSettings  # noqa: PLC0415 - who has none need not wait for it

    return Path(TokenServerSettings.read(server).keys).absolute()
