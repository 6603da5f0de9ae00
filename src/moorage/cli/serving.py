"""``moorage serve``: configuration, warnings, processes, and what a newcomer types next."""

from functools import partial
from pathlib import Path

from moorage import __version__
from moorage.cli.announcing import announced
from moorage.cli.choosing import choose
from moorage.cli.configuration import find, read_or_defaults
from moorage.cli.foreseeing import open_files
from moorage.cli.own_tokens import open_tokens
from moorage.config import Config, FilesystemSection
from moorage.errors import ConfigurationError, Mistake
from moorage.permissions import reason_of
from moorage.server.supervisor import Supervisor
from moorage.storage.base import Capability
from moorage.telemetry import Logger, configure, get_log
from moorage.wiring.registry import log_settings
from moorage.wiring.starting import inspect, left_as_one_file, prepare
from moorage.wiring.storage import capabilities_of, local_folder


def serve(path: Path | None, *, addr: str | None, data: Path | None, workers: int) -> int:
    """Start the registry and stay until it is stopped; return the exit status.

    Raises:
        ConfigurationError: the configuration cannot be used; with every mistake.
    """
    log = get_log("serve")
    loaded = read_or_defaults(path, data=data, addr=addr)
    config = _overridden(loaded.config, addr, data) if find(path) is not None else loaded.config
    configure(log_settings(config))
    for warning in loaded.warnings:
        log.warning(warning)
    if loaded.not_implemented:
        message = f"accepted, not implemented yet: {', '.join(loaded.not_implemented)}"
        log.warning(message)
    tokens = open_tokens(config)  # First: it makes the keys that the registry trusts.
    opened = open_files(config)
    for concern in opened.concerns:
        log.warning(concern)
    is_shared = Capability.SHARED in capabilities_of(config)
    if not is_shared:
        workers = 1
    folder = local_folder(config)
    if folder is not None:
        _make_root(folder)
    store = choose(config, prepare, inspect)
    supervisor = Supervisor(
        config=config,
        store=store,
        count=workers,
        tls=opened.tls,
        debug_tls=opened.debug_tls,
        tokens=tokens,
        reread_level=lambda: read_or_defaults(path, data=data, addr=addr).config.log.level,
        on_ready=partial(_welcome, log, config, workers=workers),
        is_shared=is_shared,
    )
    with announced(config), left_as_one_file(store):
        return supervisor.run()


def _overridden(config: Config, addr: str | None, data: Path | None) -> Config:
    if addr is not None:
        config = config.model_copy(update={"http": config.http.model_copy(update={"addr": addr})})
    driver = config.storage.driver
    if data is not None and isinstance(driver, FilesystemSection):
        driver = driver.model_copy(update={"rootdirectory": str(data.absolute())})
        config = config.model_copy(update={"storage": config.storage.model_copy(update={"driver": driver})})
    return config


def _make_root(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        message = f"{root} cannot be used as a folder: {reason_of(exc, root, 'write')}"
        raise ConfigurationError([Mistake("storage.filesystem.rootdirectory", message)]) from exc


def _welcome(log: Logger, config: Config, address: str, *, workers: int) -> None:
    scheme = "https" if config.http.tls.is_on else "http"
    where = local_folder(config) or "memory, gone when this ends"
    if config.log.formatter == "json":
        message = f"listening on {address}{', tls' if scheme == 'https' else ''}"
        log.info(message, data=str(where), workers=workers)
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
