"""Finding and reading the configuration file."""

import os
from dataclasses import replace
from pathlib import Path

from moorage.config import Config, FilesystemSection, Loaded, load, load_defaults
from moorage.errors import ConfigurationError, Mistake
from moorage.permissions import reason_of

DEFAULT_ADDR = "127.0.0.1:5000"
DEFAULT_DATA = Path("data")
_ADDR = "REGISTRY_HTTP_ADDR"
_ROOT = "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"


def find(config: Path | None) -> Path | None:
    """The file to read: the argument, else what ``REGISTRY_CONFIGURATION_PATH`` names; None: there is none.

    Source: GitLab features CFP-001.
    """
    named = os.environ.get("REGISTRY_CONFIGURATION_PATH")
    return config or (Path(named) if named else None)


def read(config: Path | None) -> Loaded:
    """Read the file and the environment.

    Raises:
        ConfigurationError: there is no file, or it cannot be read or used.
    """
    path = find(config)
    if path is None:
        msg = "configuration path unspecified: give it as an argument or in REGISTRY_CONFIGURATION_PATH"
        raise ConfigurationError([Mistake("", msg)])
    return _usable(load(_text_of(path), os.environ))


def read_alone(path: Path) -> Loaded:
    """Read the file without the environment, where there are several: a variable would be for all of them.

    Raises:
        ConfigurationError: it cannot be read or used.
    """
    return _usable(load(_text_of(path), {}))


def read_or_defaults(config: Path | None, *, data: Path | None = None, addr: str | None = None) -> Loaded:
    """Read the file and the environment; where there is no file, the defaults and the environment.

    *data* and *addr* were given on the command line, which goes before a variable.

    Raises:
        ConfigurationError: it cannot be read or used.
    """
    if find(config) is not None:
        return read(config)
    replaced = {name for name, value in ((_ROOT, data), (_ADDR, addr)) if value is not None}
    environ = {name: value for name, value in os.environ.items() if name.upper() not in replaced}
    return _usable(load_defaults(str((data or DEFAULT_DATA).absolute()), addr or DEFAULT_ADDR, environ))


def read_to_serve(path: Path | None, *, data: Path | None = None, addr: str | None = None) -> Loaded:
    """Like :func:`read_or_defaults`, and let *data* and *addr* go before what a file says.

    Raises:
        ConfigurationError: it cannot be read or used.
    """
    loaded = read_or_defaults(path, data=data, addr=addr)
    return loaded if find(path) is None else replace(loaded, config=_overridden(loaded.config, addr, data))


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = reason_of(exc, path, "read") if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise ConfigurationError([Mistake("", f"cannot read {path}: {reason}")]) from exc


def _overridden(config: Config, addr: str | None, data: Path | None) -> Config:
    if addr is not None:
        config = config.model_copy(update={"http": config.http.model_copy(update={"addr": addr})})
    driver = config.storage.driver
    if data is not None and isinstance(driver, FilesystemSection):
        driver = driver.model_copy(update={"rootdirectory": str(data.absolute())})
        config = config.model_copy(update={"storage": config.storage.model_copy(update={"driver": driver})})
    return config


def _usable(loaded: Loaded) -> Loaded:
    if loaded.refused:
        raise ConfigurationError(loaded.refused, loaded.warnings)
    return loaded
