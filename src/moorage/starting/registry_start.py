"""Start of the registry: files, storage, metadata store, processes; in the order in which a mistake costs least."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from os import unlink
from pathlib import Path

from moorage.config import Loaded
from moorage.errors import ConfigurationError, Mistake
from moorage.permissions import reason_of
from moorage.server.resting import Rested, Resting
from moorage.server.supervisor import Supervisor
from moorage.starting.announcing import announced
from moorage.starting.database_preparing import begin_adoption, inspect, left_as_one_file, prepare
from moorage.starting.foreseeing import open_files
from moorage.starting.own_tokens import open_tokens
from moorage.starting.store_choice import choose
from moorage.starting.welcome import greet
from moorage.storage.base import Capability
from moorage.storage.presence import HeldFile
from moorage.telemetry import configure, get_log
from moorage.wiring.databases import bring_in
from moorage.wiring.limits import node_counters
from moorage.wiring.loading import load_parts
from moorage.wiring.log_settings import log_settings
from moorage.wiring.registry_application import RegistryApplication, registry_settings, upload_key
from moorage.wiring.storage import capabilities_of, local_folder
from moorage.wiring.stores import DatabaseStore

_log = get_log("serve")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedRegistry:
    """Everything that a start has found, for its supervisor when it has rested: a later worker has to have the same."""

    application: RegistryApplication
    workers: int
    reread_level: Callable[[], str] | None

    def __call__(self, rested: Rested, caught: int) -> int:
        """See :data:`moorage.server.resting.GoOn`."""
        config = self.application.config
        log = replace(log_settings(config), level=rested.log.level)
        configure(log)
        load_parts(config, self.application.store)
        supervisor = Supervisor(
            settings=replace(registry_settings(config, count=self.workers, has_keeper=True), log=log),
            make=self.application,
            on_ready=lambda _address: None,
            reread_level=self.reread_level,
            resting=Resting(go_on=self),
        )
        return supervisor.go_on(rested, caught)


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
            supervisor.resting = _resting(resumed, held)
        return supervisor.run()


def _make_root(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        message = f"{root} cannot be used as a folder: {reason_of(exc, root, 'write')}"
        raise ConfigurationError([Mistake("storage.filesystem.rootdirectory", message)]) from exc


def _resting(resumed: ResumedRegistry, held: HeldFile | None) -> Resting | None:
    """Return the way to rest of a start that has announced itself by *held*; None: it would not be safe.

    A token server of its own is read from files, which may not be usable any more.
    """
    if resumed.application.tokens is not None:
        return None
    folder, fileno = local_folder(resumed.application.config), None
    if held is not None:
        fileno = held.fileno
        if folder is None or fileno is None:
            return None
    return Resting(
        go_on=resumed, endings=[*_endings(resumed, folder, held)], filenos=[] if fileno is None else [fileno]
    )


def _endings(resumed: ResumedRegistry, folder: Path | None, held: HeldFile | None) -> Iterator[Callable[[], object]]:
    store = resumed.application.store
    if isinstance(store, DatabaseStore) and isinstance(store.place, Path):
        yield partial(bring_in, store.place)
    if held is not None:
        yield partial(unlink, f"{folder}{held.path}")
