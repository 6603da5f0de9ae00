"""Credentials where docker and podman keep them: ``config.json``, ``auth.json`` and their helpers.

Source: docker's ``config.json`` and credential helper protocol; containers-auth.json(5).
"""

import base64
import binascii
import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moorage.client.reading import printable, read_json
from moorage.errors import MoorageError
from moorage.permissions import reason_of

_HELPER_DEADLINE_S = 60.0
_IDENTITY_USER = "<token>"
_HELPERS_NAMES = {"index.docker.io": "https://index.docker.io/v1/"}
"""Names that helpers have for registries in place of the host."""
_NOT_FOUND = "credentials not found"


class LoginFileUnusable(MoorageError):
    """A file of credentials, or a helper that it names, cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Login:
    """A user's credentials for one registry."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    """Token that other tokens are asked for with, in place of a password."""


@dataclass(frozen=True, slots=True)
class LoginFiles:
    """The files of a user; credentials are looked for in this order, and written to the first."""

    paths: tuple[Path, ...]
    environ: Mapping[str, str]

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "LoginFiles":
        """Those that docker, podman and skopeo look at."""
        if named := environ.get("REGISTRY_AUTH_FILE"):
            return cls((Path(named),), environ)
        home = Path(environ.get("HOME") or "~").expanduser()
        docker = Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
        folders = [environ.get("XDG_RUNTIME_DIR"), environ.get("XDG_CONFIG_HOME") or str(home / ".config")]
        podman = [Path(folder) / "containers" / "auth.json" for folder in folders if folder]
        return cls((docker, *podman), environ)

    def find(self, host: str, repository: str = "") -> Login | None:
        """The credentials for a registry, or for the part of it that a repository is in; None: there are none.

        Raises:
            LoginFileUnusable: a file or a helper cannot be used.
        """
        for path in self.paths:
            content = _read(path)
            helper = _helper(content, host) or _helper(content, _HELPERS_NAMES.get(host, host))
            found = _stored_for_a_part(content, host, repository)
            found = found or (self._ask(helper, host) if helper else None)
            found = found or _stored(content, host)
            if found is not None:
                return found
        return None

    def store(self, host: str, login: Login) -> str:
        """Keep credentials, and return where: in a helper if one is configured, else in the file.

        Raises:
            LoginFileUnusable: they cannot be kept.
        """
        path = self.paths[0]
        content = _read(path)
        entry: dict[str, str] = {}
        helper = _helper(content, host)
        if helper:
            secret = {"ServerURL": host, "Username": login.username, "Secret": login.password}
            self._run(helper, "store", json.dumps(secret))
        else:
            entry["auth"] = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
        _write(path, {**content, "auths": {**_section(content, "auths"), host: entry}})
        return f"docker-credential-{helper}" if helper else str(path)

    def erase(self, host: str) -> bool:
        """Forget the credentials for a registry, in all files and their helpers; False: there were none.

        Raises:
            LoginFileUnusable: a file or a helper cannot be used.
        """
        was_there = False
        for path in self.paths:
            content = _read(path)
            helper = _helper(content, host)
            if helper and self._ask(helper, host) is not None:
                self._run(helper, "erase", host)
                was_there = True
            auths = _section(content, "auths")
            names = {name for name in auths if _host_of(name) == host}
            if names:
                _write(path, {**content, "auths": {name: auths[name] for name in auths if name not in names}})
                was_there = True
        return was_there

    def _ask(self, helper: str, host: str) -> Login | None:
        printed = self._run(helper, "get", _HELPERS_NAMES.get(host, host))
        if printed is None:
            return None
        try:
            value: Any = read_json(printed)
            user, secret = str(value["Username"]), str(value["Secret"])
        except (ValueError, LookupError, TypeError):
            msg = f"what docker-credential-{helper} prints holds no credentials"
            raise LoginFileUnusable(msg) from None
        if not user and not secret:
            return None
        return Login(identity_token=secret) if user == _IDENTITY_USER else Login(user, secret)

    def _run(self, helper: str, verb: str, given: str) -> str | None:
        """Run a helper and return what it prints; None: it knows no such credentials."""
        name = f"docker-credential-{helper}"
        try:
            done = subprocess.run(  # noqa: S603 - the user's own file names it
                [name, verb],
                input=given,
                capture_output=True,
                text=True,
                check=False,
                timeout=_HELPER_DEADLINE_S,
                env=dict(self.environ),
            )
        except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else "it does not end, or prints no text"
            msg = f"cannot run {name}, which keeps the credentials: {why}"
            raise LoginFileUnusable(msg) from None
        if done.returncode == 0:
            return done.stdout
        said = " ".join((done.stdout + done.stderr).split())
        if _NOT_FOUND in said:
            return None
        msg = f"{name} {verb} failed: {said or f'status {done.returncode}'}"
        raise LoginFileUnusable(msg)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path.read_text(encoding="utf-8") or "{}")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        why = reason_of(exc, path, "read") if isinstance(exc, OSError) else "it is no JSON"
        msg = f"cannot read the credentials in {path}: {why}"
        raise LoginFileUnusable(msg) from None
    if not isinstance(value, dict):
        msg = f"cannot read the credentials in {path}: it is no JSON object"
        raise LoginFileUnusable(msg)
    return value


def _section(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def _helper(content: Mapping[str, Any], host: str) -> str:
    """The helper for a registry; empty: the file itself keeps its credentials."""
    found = _section(content, "credHelpers").get(host) or content.get("credsStore") or ""
    name = found if isinstance(found, str) else ""
    if "/" in name or not name.isprintable():
        msg = f"{printable(name)} is no name of a credential helper"
        raise LoginFileUnusable(msg)
    return name


def _host_of(name: str) -> str:
    """The registry that an entry is for: docker writes hosts, and URLs in old files; podman paths, too."""
    return name.partition("://")[2].partition("/")[0] if "://" in name else name


def _stored_for_a_part(content: Mapping[str, Any], host: str, repository: str) -> Login | None:
    """Return the login that podman keeps for ``HOST/group/app`` or ``HOST/group``: for the longest name it has."""
    auths = _section(content, "auths")
    parts = repository.split("/") if repository else []
    names = ("/".join([host, *parts[:count]]) for count in range(len(parts), 0, -1))
    return next(filter(None, (_login_in(auths.get(name)) for name in names)), None)


def _stored(content: Mapping[str, Any], host: str) -> Login | None:
    auths = _section(content, "auths")
    names = [host, *(name for name in auths if name != host and _host_of(name) == host)]
    return next(filter(None, (_login_in(auths.get(name)) for name in names)), None)


def _login_in(entry: object) -> Login | None:
    if not isinstance(entry, dict):
        return None
    if entry.get("identitytoken"):
        return Login(identity_token=str(entry["identitytoken"]))
    with contextlib.suppress(binascii.Error, UnicodeDecodeError, ValueError):
        user, colon, password = base64.b64decode(str(entry.get("auth", "")), validate=True).decode().partition(":")
        if colon:
            return Login(user, password.rstrip("\0"))
    if entry.get("username") and entry.get("password"):
        return Login(str(entry["username"]), str(entry["password"]))
    return None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a file at once, so that nobody reads half of it; where it is a link, what it points to."""
    path = path.resolve()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _replacing(path) as stream:
            stream.write(json.dumps(content, indent="\t").encode() + b"\n")
    except OSError as exc:
        msg = f"cannot write the credentials to {path}: {reason_of(exc, path.parent, 'write')}"
        raise LoginFileUnusable(msg) from None


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Any]:
    # mkstemp makes a file that only its owner may read.
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
