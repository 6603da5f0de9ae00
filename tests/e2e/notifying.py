"""Daemons that tell receivers of what happens, and what pushes to them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from e2e.databases import sqlite_config
from e2e.images import Image
from e2e.settings import config_for
from e2e.wire import Wire
from support.receiver import Event, Receiver

FAST: Mapping[str, object] = {"timeout": "500ms", "backoff": "50ms"}
"""An endpoint that is asked again soon."""


def endpoint(receiver: Receiver, name: str = "told", **more: object) -> dict[str, Any]:
    """One of ``notifications.endpoints``."""
    return {"name": name, "url": receiver.url, **FAST, **more}


def told_config(
    folder: Path, *endpoints: Mapping[str, object], database: bool = True, config: str | None = None, **more: object
) -> str:
    """A configuration with deletion on that tells *endpoints*."""
    text = config or (sqlite_config(folder) if database else config_for(folder))
    tree = yaml.safe_load(text)
    return yaml.safe_dump(tree | {"notifications": {"endpoints": [dict(each) for each in endpoints], **more}})


def pushed(events: Sequence[Event], repository: str) -> list[str]:
    """The tags whose push was told of, in that order."""
    return [
        event["target"]["tag"]
        for event in events
        if event["action"] == "push" and event["target"]["repository"] == repository and "tag" in event["target"]
    ]


def push_tags(wire: Wire, repository: str, image: Image, tags: Sequence[str]) -> None:
    """Push an image under each of *tags*, one after another."""
    for tag in tags:
        wire.push_image(repository, tag, image)
