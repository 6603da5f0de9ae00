"""Finding and reading the configuration file."""

import os
from pathlib import Path

from moorage.config import Loaded, load
from moorage.errors import ConfigurationError, Mistake


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
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise ConfigurationError([Mistake("", f"cannot read {path}: {reason}")]) from exc
    return load(text, os.environ)
