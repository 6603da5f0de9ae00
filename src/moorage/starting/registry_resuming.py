"""The registry of a start, as its supervisor has it again after a rest: what was read then is not read again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from os import unlink
from pathlib import Path

from moorage.server.resting import Rested, Resting
from moorage.server.supervisor import Supervisor
from moorage.storage.presence import HeldFile
from moorage.telemetry import configure
from moorage.wiring.databases import bring_in
from moorage.wiring.loading import load_parts
from moorage.wiring.log_settings import log_settings
from moorage.wiring.registry_application import RegistryApplication, registry_settings
from moorage.wiring.storage import local_folder
from moorage.wiring.stores import DatabaseStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedRegistry:
    """Everything that a start has found, which a worker that is started later has to have too."""

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


def resting_of(resumed: ResumedRegistry, held: HeldFile | None) -> Resting | None:
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
