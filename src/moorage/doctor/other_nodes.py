"""Comparison with the other nodes: each that was looked at leaves a note in the storage that they share.

A note has fingerprints, never a value. Those of what is guessed easily are slow to make, so that whoever can read the
bucket cannot try words.
"""

import json
import re
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import BaseModel

from moorage import __version__
from moorage.config import Config, HtpasswdAuth, TokenAuth
from moorage.doctor.diagnosis import Report, secrets_of
from moorage.doctor.shared_secret import fingerprint
from moorage.errors import PathUnknown
from moorage.storage import paths
from moorage.storage.base import StorageDriver

CHECK = "other nodes"
_KEY = "http.secret"
_FRESH = timedelta(days=30)
"""An older note is of a node that is gone, or that nobody has looked at for long."""
_LIMIT_BYTES = 1 << 16
_ODD = re.compile(r"[^A-Za-z0-9._-]")
_OWN_HTTP = {"addr", "net", "tls", "debug", "secret", "draintimeout"}
"""Keys that may differ from node to node."""
_OWN_DATABASE = {"pool", "metrics", "draintimeout", "connecttimeout", "primary"}


@dataclass(frozen=True, slots=True)
class NodeNote:
    """The note of one node."""

    node: str
    seen_at: datetime
    version: str
    fingerprints: Mapping[str, str]
    """By section of the configuration."""

    def encode(self) -> bytes:
        """Return it as it is kept."""
        fields = {"version": 1, "node": self.node, "seen_at": self.seen_at.isoformat(), "moorage": self.version}
        return json.dumps({**fields, "fingerprints": dict(self.fingerprints)}).encode()


async def compare_nodes(config: Config, storage: StorageDriver, report: Report, *, node: str, now: datetime) -> None:
    """Compare this node with every other that has left a note, and leave one.

    Raises:
        BackendError: storage cannot be used.
    """
    ours = NodeNote(node or socket.gethostname(), now, __version__, dict(_fingerprints(config)))
    others = [note async for note in _notes(storage, but=ours.node) if now - note.seen_at < _FRESH]
    for note in others:
        _compare(ours, note, report)
    if not others:
        said = f"no other has left a note in this storage; this one is {ours.node}"
        report.skip(CHECK, said, "run moorage doctor on each node, and then once more on one of them")
    if not config.storage.maintenance.readonly.enabled:
        await storage.put(_path(ours.node), ours.encode())


def _compare(ours: NodeNote, other: NodeNote, report: Report) -> None:
    check = f"node {other.node}"
    names = sorted(ours.fingerprints.keys() | other.fingerprints.keys())
    differing = [name for name in names if ours.fingerprints.get(name) != other.fingerprints.get(name)]
    when = f"{other.seen_at:%Y-%m-%d %H:%M} UTC"
    if _KEY in differing:
        said = f"it has another http.secret (as of {when}), so uploads that move from node to node fail"
        report.fail(check, said, "give all nodes the same, and run this on each of them again")
    differing = [name for name in differing if name != _KEY]
    if differing:
        said = f"its configuration differs (as of {when}) in: {', '.join(differing)}"
        report.warn(check, said, "if that is not on purpose, give all nodes the same, and run this on each again")
    if other.version != ours.version:
        report.warn(check, f"it runs Moorage {other.version}, and this one {ours.version}", "bring all to one version")
    if not differing and other.version == ours.version and report.lines[-1].check != check:
        report.good(check, f"it has the same secret, configuration and version (as of {when})")


async def _notes(storage: StorageDriver, *, but: str) -> AsyncIterator[NodeNote]:
    try:
        entries = await storage.list(paths.NODES)
    except PathUnknown:
        return
    for entry in entries:
        with suppress(PathUnknown, ValueError, LookupError, TypeError, AttributeError):  # It is nobody's note.
            note = _read(await storage.get(f"{paths.NODES}/{entry.name}", limit_bytes=_LIMIT_BYTES))
            if note.node != but:
                yield note


def _read(content: bytes) -> NodeNote:
    found = json.loads(content)
    prints = {str(name): str(value) for name, value in found["fingerprints"].items()}
    seen_at = datetime.fromisoformat(found["seen_at"]).astimezone(UTC)
    return NodeNote(str(found["node"])[:100], seen_at, str(found["moorage"])[:40], prints)


def _path(node: str) -> str:
    return f"{paths.NODES}/{_ODD.sub('_', node)[:100]}.json"


def _fingerprints(config: Config) -> Iterator[tuple[str, str]]:
    yield _KEY, fingerprint(config.http.secret)
    for name, (section, value) in _shared(config).items():
        text = json.dumps(value, sort_keys=True, default=repr)
        yield name, fingerprint(text, is_secret=any(secrets_of(section)))


def _shared(config: Config) -> Mapping[str, tuple[BaseModel, object]]:
    """The parts of a configuration that nodes have in common: the section, and what of it counts."""
    driver = config.storage.driver.model_dump(mode="python", exclude={"rootdirectory"})
    storage = config.storage.model_dump(mode="python", include={"delete", "redirect", "maintenance", "cache"})
    found: dict[str, tuple[BaseModel, object]] = {
        "http": (
            config.validation,
            config.http.model_dump(mode="python", exclude=_OWN_HTTP),
        ),  # No secret is left in it.
        "storage": (config.storage.driver, {**storage, "name": config.storage.name, "driver": driver}),
        "database": (config.database, config.database.model_dump(mode="python", exclude=_OWN_DATABASE)),
    }
    for name in ("redis", "rate_limiter", "validation", "notifications", "gc"):
        section: BaseModel = getattr(config, name)
        found[name] = section, section.model_dump(mode="python")
    if config.auth is not None:
        found["auth"] = config.auth, _auth(config)
    return found


def _auth(config: Config) -> object:
    """The part of a configuration that lets somebody in: of files their content, wherever they stand."""
    auth = config.auth
    assert auth is not None  # noqa: S101 - the caller has looked
    found: dict[str, object] = auth.model_dump(mode="python")
    names = ("rootcertbundle", "jwks") if isinstance(auth, TokenAuth) else ("path",)
    if isinstance(auth, TokenAuth | HtpasswdAuth):
        for name in names:
            if found.get(name):
                with suppress(OSError):  # The check of the configuration has said so.
                    found[name] = Path(str(found[name])).read_bytes()
    return {"scheme": type(auth).__name__, **found}
