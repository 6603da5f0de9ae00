"""Start of the token server."""

from pathlib import Path

from moorage.server.supervisor import Supervisor
from moorage.telemetry import configure, get_log
from moorage.token_server.settings import TokenServerSettings
from moorage.wiring.token_server import TokenServer

_log = get_log("tokens")


def start_token_server(path: Path) -> int:
    """Start the token server of the settings in *path*, and stay until it is stopped; return the exit status.

    Raises:
        ConfigurationError: the settings, or what they name, cannot be used; with every mistake.
    """
    settings = TokenServerSettings.read(path)
    configure(settings.log_settings)
    server = TokenServer(settings)
    if server.has_new_keys:
        _log.info("new keys", rootcertbundle=str(server.keys.bundle), jwks=str(server.keys.jwks))
    scheme = "http" if server.tls is None else "https"
    supervisor = Supervisor(
        settings=server.server_settings(),
        make=server.application,
        on_ready=lambda _address: _log.info("listening", url=f"{scheme}://{settings.addr}/token"),
    )
    return supervisor.run()
