"""A registry that is its own token server (``auth.token.server``)."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.config import Config, TokenAuth
from moorage.errors import ConfigurationError, Mistake

if TYPE_CHECKING:
    from moorage.token_server.settings import TokenServerSettings
    from moorage.wiring.token_server import TokenServer

_KEY = "auth.token.server"


def open_tokens(config: Config) -> "TokenServer | None":
    """Open the registry's own token server, with its files read and its keys made; None if it has none.

    Raises:
        ConfigurationError: a file cannot be used, or what it says is not what the registry trusts.
    """
    auth = config.auth
    if not isinstance(auth, TokenAuth) or not auth.server:
        return None
    from moorage.token_server.settings import TokenServerSettings  # noqa: PLC0415 - as above
    from moorage.wiring.token_server import TokenServer  # noqa: PLC0415 - a start without it need not wait for it

    try:
        settings = TokenServerSettings.read(Path(auth.server))
        mistakes = list(_differences(auth, settings))
        found = None if mistakes else TokenServer(settings)
    except ConfigurationError as exc:
        mistakes, found = [Mistake(_KEY, f"{auth.server}: {mistake}") for mistake in exc.mistakes], None
    if mistakes:
        raise ConfigurationError(mistakes)
    return found


def _differences(auth: TokenAuth, settings: "TokenServerSettings") -> Iterator[Mistake]:
    """Yield the reasons for which the registry would not take these tokens."""
    for name in ("service", "issuer"):
        here, there = getattr(auth, name), getattr(settings, name)
        if here != there:
            yield Mistake(
                f"auth.token.{name}", f"{here[:60]!r} is needed in {auth.server} too; there it is {there[:60]!r}"
            )
    keys = Path(settings.keys)
    bundle, jwks = keys / "registry.pem", keys / "jwks.json"
    if not (_is_same(auth.rootcertbundle, bundle) or _is_same(auth.jwks, jwks)):
        yield Mistake("auth.token.rootcertbundle", f"{bundle} is needed, or {jwks} for auth.token.jwks")


def _is_same(given: str, wanted: Path) -> bool:
    return bool(given) and Path(given).resolve() == wanted.resolve()
