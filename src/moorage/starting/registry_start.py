"""Start of the registry: files, storage, metadata store, processes; in the order in which a mistake costs least."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from moorage.config import Loaded
from moorage.errors import ConfigurationError, Mistake
from moorage.permissions import reason_of
from moorage.server.supervisor import Supervisor
from moorage.starting.announcing import announced
from moorage.starting.database_preparing import begin_adoption, inspect, left_as_one_file, prepare
from moorage.starting.foreseeing import open_files
from moorage.starting.own_tokens import open_tokens
from moorage.starting.registry_resuming import ResumedRegistry, resting_of
from moorage.starting.store_choice import choose
from moorage.starting.welcome import greet
from moorage.storage.base import Capability
from moorage.telemetry import configure, get_log
from moorage.wiring.limits import node_counters
from moorage.wiring.loading import load_parts
from moorage.wiring.log_settings import log_settings
from moorage.wiring.registry_application import RegistryApplication, registry_settings, upload_key
from moorage.wiring.storage import capabilities_of, local_folder
from moorage.wiring.stores import DatabaseStore

_log = get_log("serve")


def start_registry(
    loaded: Loaded,
    *,
    workers: int,
    reread_level: Callable[[], str] | None = None,
    say: Callable[[str], object] = lambda _text: None,
    on_ready: Callable[[str], object] | None = None,
) -> int:
    """Start the registry and stay until it is stopped; return the exit status.

    Args:
        loaded: the configuration, with the warnings that came with it.
        workers: number of the processes that serve.
        reread_level: reads the configuration once more at a SIGHUP, for the level of the log.
        say: told what a newcomer types next, once requests are answered.
        on_ready: told the address then, in place of *say*.

    Raises:
        ConfigurationError: the configuration cannot be used; with every mistake.
        StorageUnavailable: storage cannot be read.
    """
    config = loaded.config
    configure(log_settings(config))
    for warning in loaded.warnings:
        _log.warning(warning)
    if loaded.not_implemented:
        message = f"accepted, without function here: {', '.join(loaded.not_implemented)}"
        _log.warning(message)
    tokens = open_tokens(config)  # First: it makes the keys that the registry trusts.
    opened = open_files(config)
    for concern in opened.concerns:
        _log.warning(concern)
    is_shared = Capability.SHARED in capabilities_of(config)
    if not is_shared:
        workers = 1
    folder = local_folder(config)
    if folder is not None:
        _make_root(folder)
    store = choose(config, prepare, inspect, begin_adoption)
    load_parts(config, store)
    application = RegistryApplication(
        config=config,
        store=store,
        secret=upload_key(config.http.secret),
        counters=node_counters(config),
        share=1 / (workers + is_shared),
        tokens=tokens,
    )
    supervisor = Supervisor(
        settings=registry_settings(
            config, count=workers, has_keeper=is_shared, tls=opened.tls, debug_tls=opened.debug_tls
        ),
        make=application,
        reread_level=reread_level,
        on_ready=on_ready or partial(greet, config, workers=workers, say=say),
    )
    with announced(config) as held, left_as_one_file(store.place if isinstance(store, DatabaseStore) else None):
        # Certificates may be ones that could not be read again, and what is in memory alone is nowhere else.
        if is_shared and opened.tls is None and opened.debug_tls is None:
            resumed = ResumedRegistry(application=application, workers=workers, reread_level=reread_level)
            supervisor.resting = resting_of(resumed, held)
        return supervisor.run()


def _make_root(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        message = f"{root} cannot be used as a folder: {reason_of(exc, root, 'write')}"
        raise ConfigurationError([Mistake("storage.filesystem.rootdirectory", message)]) from exc
