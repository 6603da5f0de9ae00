"""Configuration files for the daemons of these tests."""

from collections.abc import Mapping
from pathlib import Path

import yaml


def config_for(
    folder: Path,
    *,
    maintenance: Mapping[str, object] | None = None,
    http: Mapping[str, object] | None = None,
    health: Mapping[str, object] | None = None,
) -> str:
    """A configuration with deletion on, for ``Daemon(folder)``; *maintenance* goes below ``storage``."""
    storage: dict[str, object] = {
        "filesystem": {"rootdirectory": str(folder / "data")},
        "delete": {"enabled": True},
    }
    if maintenance is not None:
        storage["maintenance"] = dict(maintenance)
    tree: dict[str, object] = {"version": 0.1, "storage": storage}
    if http is not None:
        tree["http"] = dict(http)
    if health is not None:
        tree["health"] = dict(health)
    return yaml.safe_dump(tree)
