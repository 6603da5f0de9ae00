"""Places that clients are sent to for a token, and a check that clients will go there."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from moorage.config.root import Config
from moorage.config.sections.auth import TokenAuth

_PORTS = {"http": 80, "https": 443}
_EVERYWHERE = ("", "0.0.0.0", "::")


def realm_warnings(config: Config) -> Iterator[str]:
    """Yield a warning, with what to change, where new clients would not ask for a token.

    They go to no private address that an answer names, lest a registry make them ask something in their own network;
    the host and port that they have asked already are the exception.
    """
    auth = config.auth
    if not isinstance(auth, TokenAuth) or auth.autoredirect:
        return
    realm = _split(auth.realm)
    if realm is None or not _is_private(realm.hostname or "") or _is_own(config, realm):
        return
    yield (
        f"auth.token.realm: new clients ask for no token at {realm.netloc.rpartition('@')[2][:60]}, a private address "
        "that is not the registry's own; give it a name, or the registry's own host and port: a proxy can pass "
        "/auth/token on, or auth.token.server have the registry answer there"
    )


def _split(url: str) -> SplitResult | None:
    try:
        found = urlsplit(url)
        _ = found.port  # Only now it is read.
    except ValueError:
        return None
    return found


def _is_private(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return not (address if mapped is None else mapped).is_global


def _is_own(config: Config, realm: SplitResult) -> bool:
    """Return whether clients know that host and port as the registry's."""
    port = realm.port or _PORTS.get(realm.scheme, 0)
    outside = _split(config.http.host) if config.http.host else None
    if outside is not None:
        return (outside.hostname, outside.port or _PORTS.get(outside.scheme, 0)) == (realm.hostname, port)
    if config.http.net == "unix":
        return False
    host, _, own_port = config.http.addr.rpartition(":")
    return own_port == str(port) and host.strip("[]") in (*_EVERYWHERE, realm.hostname)
