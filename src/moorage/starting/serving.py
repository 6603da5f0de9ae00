"""``moorage serve`` without its command line: what is written there in, exit status out."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from moorage.left_out import import_lightly
from moorage.server.held_signals import hold_signals


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """The words of a command line."""

    config: Path | None = None
    addr: str | None = None
    """The address that goes before the configured one."""
    data: Path | None = None
    """The folder that goes before the configured one."""
    workers: int | None = None
    """None: one for each core that may be used."""


def serve_registry(options: ServeOptions, say: Callable[[str], object]) -> int:
    """Start the registry, and stay until it is stopped; return the exit status. *say*: told what to type next.

    Raises:
        ConfigurationError: it cannot be used; with every mistake.
        StorageUnavailable: storage cannot be read.
    """
    hold_signals()
    import_lightly()
    from moorage.server.scheduling import usable_processors  # noqa: PLC0415 - what is left out has to be said before
    from moorage.starting.configuration_file import read_to_serve  # noqa: PLC0415 - as above
    from moorage.starting.registry_start import start_registry  # noqa: PLC0415 - as above

    loaded = read_to_serve(options.config, addr=options.addr, data=options.data)
    return start_registry(
        loaded,
        workers=options.workers or usable_processors(),
        reread_level=partial(level_of, options),
        say=say,
    )


def level_of(options: ServeOptions) -> str:
    """Read the configuration once more, for the level of the log.

    Raises:
        ConfigurationError: it cannot be used; with every mistake.
    """
    from moorage.starting.configuration_file import read_to_serve  # noqa: PLC0415 - as above

    return read_to_serve(options.config, addr=options.addr, data=options.data).config.log.level
