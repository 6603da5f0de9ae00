"""``moorage serve``: configuration, warnings, processes, and what a newcomer types next."""

from collections.abc import Sequence
from pathlib import Path

from moorage import __version__
from moorage.cli.choosing import choose
from moorage.cli.configuration import find, read
from moorage.config import Config, FilesystemDriver, defaults
from moorage.errors import ConfigurationError, Mistake
from moorage.server.supervisor import Supervisor
from moorage.server.worker import tls_context
from moorage.telemetry import Log, configure, get_log
from moorage.wiring.guards import concerns
from moorage.wiring.registry import log_settings
from moorage.wiring.starting import prepare

DEFAULT_ADDR = "127.0.0.1:5000"
DEFAULT_DATA = Path("data")


def serve(path: Path | None, *, addr: str | None, data: Path | None, workers: int) -> int:
    """Start the registry and stay until it is stopped; return the exit status.

    Raises:
        ConfigurationError: the configuration cannot be used; with every mistake.
    """
    log = get_log("serve")
    if find(path) is None:
        config = defaults(str((data or DEFAULT_DATA).absolute()), addr or DEFAULT_ADDR)
        configure(log_settings(config))
    else:
        loaded = read(path)
        config = _overridden(loaded.config, addr, data)
        configure(log_settings(config))
        for warning in loaded.warnings:
            log.warning(warning)
        if loaded.not_implemented:
            message = f"accepted, not implemented yet: {', '.join(loaded.not_implemented)}"
            log.warning(message)
    for concern in _refuse(config):
        log.warning(concern)
    if isinstance(config.storage.driver, FilesystemDriver):
        _make_root(Path(config.storage.driver.rootdirectory))
    else:
        workers = 1  # Memory is not shared between processes.
    store = choose(config, prepare)
    return Supervisor(config, store, workers, lambda address: _welcome(log, config, address, workers)).run()


def _overridden(config: Config, addr: str | None, data: Path | None) -> Config:
    if addr is not None:
        config = config.model_copy(update={"http": config.http.model_copy(update={"addr": addr})})
    driver = config.storage.driver
    if data is not None and isinstance(driver, FilesystemDriver):
        driver = driver.model_copy(update={"rootdirectory": str(data.absolute())})
        config = config.model_copy(update={"storage": config.storage.model_copy(update={"driver": driver})})
    return config


def _refuse(config: Config) -> Sequence[str]:
    """Do not start where what cannot be used would let somebody in, or hide images that are there.

    Return what somebody should look at all the same.

    Raises:
        ConfigurationError: with what would be right.
    """
    mistakes, tls, driver, found = [], config.http.tls, config.storage.driver, list[str]()
    if tls.clientcas:
        message = "client certificates are not checked yet; let a proxy in front do it, or take the key out"
        mistakes.append(Mistake("http.tls.clientcas", message))
    if tls.letsencrypt.hosts or tls.letsencrypt.cachefile:
        message = "not implemented yet; give http.tls.certificate and http.tls.key, or let a proxy in front speak TLS"
        mistakes.append(Mistake("http.tls.letsencrypt", message))
    if not driver.is_implemented:
        message = "accepted, not implemented yet; use storage.filesystem"
        mistakes.append(Mistake(f"storage.{config.storage.name}", message))
    try:
        tls_context(config)
    except ConfigurationError as exc:
        mistakes += exc.mistakes
    try:
        found += concerns(config)
    except ConfigurationError as exc:
        mistakes += exc.mistakes
    if mistakes:
        raise ConfigurationError(mistakes)
    return found


def _make_root(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        message = f"{root} cannot be used as a folder: {exc.strerror}"
        raise ConfigurationError([Mistake("storage.filesystem.rootdirectory", message)]) from exc


def _welcome(log: Log, config: Config, address: str, workers: int) -> None:
    scheme = "https" if config.http.tls.certificate else "http"
    driver = config.storage.driver
    where = driver.rootdirectory if isinstance(driver, FilesystemDriver) else "memory, gone when this ends"
    if config.log.formatter == "json":
        message = f"listening on {address}{', tls' if scheme == 'https' else ''}"
        log.info(message, data=where, workers=workers)
        return
    print(
        f"Moorage {__version__} listens on {scheme}://{address} ({workers} worker{'s' if workers != 1 else ''})\n"
        f"Its data is in {where}\n"
        f"Now, in another terminal, with any image that you have:\n"
        f"  docker tag IMAGE {address}/group/app:1\n"
        f"  docker push {address}/group/app:1\n"
        f"Ctrl-C stops it.",
        flush=True,
    )
