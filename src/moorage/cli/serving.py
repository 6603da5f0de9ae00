"""``moorage serve``: configuration, warnings, processes, and what a newcomer types next."""

from functools import partial
from pathlib import Path

from moorage import __version__
from moorage.cli.announcing import announced
from moorage.cli.choosing import choose
from moorage.cli.configuration import find, read
from moorage.cli.own_tokens import open_tokens
from moorage.config import Config, FilesystemDriver, defaults
from moorage.errors import ConfigurationError, Mistake
from moorage.server.https import open_debug_tls, open_tls
from moorage.server.supervisor import Supervisor
from moorage.server.tls import ServerTLS
from moorage.telemetry import Log, configure, get_log
from moorage.wiring.guards import concerns
from moorage.wiring.registry import log_settings
from moorage.wiring.starting import inspect, left_as_one_file, prepare

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
    tokens = open_tokens(config)  # First: it makes the keys that the registry trusts.
    tls, debug_tls = _open(config)
    is_shared = isinstance(config.storage.driver, FilesystemDriver)
    if isinstance(config.storage.driver, FilesystemDriver):
        _make_root(Path(config.storage.driver.rootdirectory))
    else:
        workers = 1  # Memory is not shared between processes.
    store = choose(config, prepare, inspect)
    supervisor = Supervisor(
        config=config,
        store=store,
        count=workers,
        tls=tls,
        debug_tls=debug_tls,
        tokens=tokens,
        reread_level=None if find(path) is None else lambda: read(path).config.log.level,
        on_ready=partial(_welcome, log, config, workers=workers),
        is_shared=is_shared,
    )
    with announced(config), left_as_one_file(store):
        return supervisor.run()


def _overridden(config: Config, addr: str | None, data: Path | None) -> Config:
    if addr is not None:
        config = config.model_copy(update={"http": config.http.model_copy(update={"addr": addr})})
    driver = config.storage.driver
    if data is not None and isinstance(driver, FilesystemDriver):
        driver = driver.model_copy(update={"rootdirectory": str(data.absolute())})
        config = config.model_copy(update={"storage": config.storage.model_copy(update={"driver": driver})})
    return config


def _open(config: Config) -> tuple[ServerTLS | None, ServerTLS | None]:
    """HTTPS of both addresses; what somebody should look at is logged.

    Raises:
        ConfigurationError: something cannot be used that would let somebody in, or would hide images that are there.
    """
    mistakes, opened, driver = [], [], config.storage.driver
    if not driver.is_implemented:
        message = "accepted, not implemented yet; use storage.filesystem"
        mistakes.append(Mistake(f"storage.{config.storage.name}", message))
    for open_one in (open_tls, open_debug_tls):
        try:
            opened.append(open_one(config))
        except ConfigurationError as exc:
            mistakes += [mistake for mistake in exc.mistakes if mistake not in mistakes]
    try:
        for concern in concerns(config):
            get_log("serve").warning(concern)
    except ConfigurationError as exc:
        mistakes += exc.mistakes
    if mistakes:
        raise ConfigurationError(mistakes)
    tls, debug_tls = opened
    return tls, debug_tls


def _make_root(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        message = f"{root} cannot be used as a folder: {exc.strerror}"
        raise ConfigurationError([Mistake("storage.filesystem.rootdirectory", message)]) from exc


def _welcome(log: Log, config: Config, address: str, *, workers: int) -> None:
    scheme = "https" if config.http.tls.is_on else "http"
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
