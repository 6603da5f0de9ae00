"""Mistakes and warnings of a start, found before it does anything: about files, and about access by strangers."""

import dataclasses
import errno
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moorage.config import Config
from moorage.errors import ConfigurationError, Mistake
from moorage.permissions import Right, lacks, need_of
from moorage.server.tls.https import open_debug_tls, open_tls
from moorage.server.tls.tls_contexts import ServerTLS
from moorage.telemetry import configure
from moorage.wiring.guards import concerns
from moorage.wiring.log_settings import log_settings
from moorage.wiring.redirects import redirect_concerns
from moorage.wiring.storage import local_folder
from moorage.wiring.tracing import wanted_exporters

_NOT_THERE = os.strerror(errno.ENOENT)


@dataclass(frozen=True, slots=True)
class Opened:
    """HTTPS of both addresses, and what somebody should look at."""

    tls: ServerTLS | None
    debug_tls: ServerTLS | None
    concerns: Sequence[str]


def open_files(config: Config, *, meant: Config | None = None) -> Opened:
    """Open what the configuration names by files; *meant* is the whole one, where a part was left out.

    Raises:
        ConfigurationError: something cannot be used; with every mistake.
    """
    mistakes: list[Mistake] = []
    opened, said = [], []
    for open_one in (open_tls, open_debug_tls):
        try:
            opened.append(open_one(config))
        except ConfigurationError as exc:
            mistakes += [mistake for mistake in exc.mistakes if mistake not in mistakes]
    try:
        wanted_exporters(os.environ)
    except ConfigurationError as exc:
        mistakes += exc.mistakes
    try:
        said = [*concerns(meant or config), *redirect_concerns(config)]
    except ConfigurationError as exc:
        mistakes += exc.mistakes
    try:
        tempfile.gettempdir()
    except FileNotFoundError as exc:  # Pushes would fail one day, with SQLite's "disk I/O error".
        message = f"there is no folder for temporary files: {exc.strerror or exc}; set the variable TMPDIR to one"
        mistakes.append(Mistake("", message))
    if mistakes:
        raise ConfigurationError(mistakes)
    tls, debug_tls = opened
    return Opened(tls, debug_tls, said)


def said_by_a_start(config: Config) -> tuple[tuple[Mistake, ...], tuple[str, ...]]:
    """The mistakes that would end a start, and the warnings that it would give. Nothing is made or changed."""
    # Standard output is for the verdict.
    configure(dataclasses.replace(log_settings(config), output="stderr"))
    mistakes: list[Mistake] = []
    said: Sequence[str] = ()
    meant, issued = config, config.http.tls.letsencrypt.cachefile
    if issued and (reason := _no_folder(Path(issued))):
        mistakes.append(Mistake("http.tls.letsencrypt.cachefile", f"{issued} cannot be used as a folder: {reason}"))
    if issued:
        # Opening would make the folder and a key.
        tls = config.http.tls.model_copy(update={"letsencrypt": type(config.http.tls.letsencrypt)()})
        config = config.model_copy(update={"http": config.http.model_copy(update={"tls": tls})})
    try:
        said = open_files(config, meant=meant).concerns
    except ConfigurationError as exc:
        mistakes += exc.mistakes
    folder = local_folder(config)
    if folder is not None and (reason := _no_folder(folder)):
        message = f"{folder} cannot be used as a folder: {reason}"
        mistakes.append(Mistake("storage.filesystem.rootdirectory", message))
    return tuple(map(_of_this_machine, mistakes)), tuple(said)


def _of_this_machine(mistake: Mistake) -> Mistake:
    """*mistake*; of a file that is not there, with the word that it may be there where the registry will run."""
    if not mistake.message.endswith(_NOT_THERE):
        return mistake
    return Mistake(mistake.path, f"{mistake.message} on this machine; check it where the registry will run")


def _no_folder(path: Path) -> str:
    """Name what keeps *path* from being or becoming a folder; empty if nothing is in the way."""
    try:
        nearest = next(part for part in (path.absolute(), *path.absolute().parents) if os.path.lexists(part))
        if not nearest.is_dir():
            return "Not a directory"
        right: Right = "read" if nearest == path.absolute() else "write"
        return f"Permission denied; {need_of(path, right)}" if lacks(nearest, right) else ""
    except (OSError, ValueError) as exc:
        return str(getattr(exc, "strerror", None) or exc)
