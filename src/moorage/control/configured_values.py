"""Values in ``control.yml`` that need a look: URLs, hosts, secrets in files."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ConfigDict

from moorage.config.section import Section
from moorage.errors import Mistake
from moorage.permissions import reason_of

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]", re.ASCII)
_SECRET_LIMIT_BYTES = 1 << 16


class ControlSection(Section):
    """A part of ``control.yml``: a key that it does not have is a mistake."""

    model_config = ConfigDict(extra="forbid")


def http_url(path: str, value: str) -> Iterator[Mistake]:
    """Find what is wrong with a URL that has to be http or https."""
    try:
        parts = urlsplit(value)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        yield Mistake(path, "is no URL; write one such as https://registry.example.com")
        return
    if "<" in parts.netloc:
        yield Mistake(path, "has a guide's placeholder in angle brackets; write the host's own name or address")
    elif parts.scheme not in ("http", "https") or not has_host:
        yield Mistake(path, "a URL with its scheme is needed, such as https://registry.example.com")
    elif parts.username or parts.query or parts.fragment:
        yield Mistake(path, "a URL without user, query and fragment is needed")


def is_host(value: str) -> bool:
    """Return whether *value* is a host's name or address, and nothing else."""
    return _HOST.fullmatch(value) is not None


def secret_of(path: str, given: str, file: str, *, folder: Path) -> tuple[str, Sequence[Mistake]]:
    """Return a secret that is given, or that is in a file; and what is wrong with it."""
    if not file:
        return given, ()
    where = f"{path}file"
    if given:
        return given, [Mistake(where, f"{path} is there too; take one of the two out")]
    place = folder / file
    try:
        with place.open("rb") as stream:
            return stream.read(_SECRET_LIMIT_BYTES).decode().strip(), ()
    except OSError as exc:
        return "", [Mistake(where, f"cannot read {place}: {reason_of(exc, place, 'read')}")]
    except UnicodeDecodeError:
        return "", [Mistake(where, f"{place} is not UTF-8 text")]
