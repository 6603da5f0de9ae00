"""Words of a registry that answers its first requests."""

from collections.abc import Callable

from moorage import __version__
from moorage.config import Config
from moorage.telemetry import get_log
from moorage.wiring.storage import place_in_words

_log = get_log("serve")


def greet(config: Config, address: str, *, workers: int, say: Callable[[str], object]) -> None:
    """Tell people what to type next; where the log is for machines, write one line there instead."""
    scheme = "https" if config.http.tls.is_on else "http"
    where = place_in_words(config)
    if config.log.formatter == "json":
        message = f"listening on {address}{', tls' if scheme == 'https' else ''}"
        _log.info(message, data=where, workers=workers)
        return
    say(
        f"Moorage {__version__} listens on {scheme}://{address} ({workers} worker{'s' if workers != 1 else ''})\n"
        f"Its data is in {where}\n"
        f"Now, in another terminal, with any image that you have:\n"
        f"  docker tag IMAGE {address}/group/app:1\n"
        f"  docker push {address}/group/app:1\n"
        f"Ctrl-C stops it."
    )
