"""Mistakes in the section ``health``: checks of nothing, and checks that are there twice."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from moorage.config.sections.health import Health
from moorage.errors import Mistake

_LARGEST_PORT = 65535


def health_mistakes(health: Health) -> Iterator[Mistake]:
    """Yield each of them."""
    seen: set[str] = set()
    files = [(f"health.file[{i}].file", check.file, bool(check.file)) for i, check in enumerate(health.file)]
    urls = [(f"health.http[{i}].uri", check.uri, _is_url(check.uri)) for i, check in enumerate(health.http)]
    addresses = [(f"health.tcp[{i}].addr", check.addr, is_address(check.addr)) for i, check in enumerate(health.tcp)]
    wanted = {"file": "the path of a file", "uri": "a URL, such as http://127.0.0.1:8080/", "addr": "host:port"}
    for path, value, is_good in [*files, *urls, *addresses]:
        if not is_good:
            yield Mistake(path, f"{wanted[path.rpartition('.')[2]]} is needed")
        elif value in seen:
            yield Mistake(path, "is there twice; take one of them out")
        seen.add(value)


def is_address(text: str) -> bool:
    """Return whether *text* is a host, which may be left out, and a port."""
    _, colon, port = text.rpartition(":")
    is_port = port.isascii() and port.isdigit() and len(port) <= len(str(_LARGEST_PORT))
    return bool(colon) and is_port and int(port) <= _LARGEST_PORT


def _is_url(text: str) -> bool:
    try:
        found = urlsplit(text)
        _ = found.port  # Only now it is read.
    except ValueError:
        return False
    return found.scheme in ("http", "https") and bool(found.hostname)
