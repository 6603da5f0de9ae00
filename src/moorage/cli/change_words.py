"""Words for what a change was about."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moorage.api.history_answers import Change, Obstacle


def named(thing: "Change | Obstacle") -> str:
    """A tag, a repository or a manifest, as it is typed."""
    places = {"tag": f"{thing.repository}:{thing.name}", "repository": thing.repository}
    return places.get(thing.kind, f"{thing.repository}@{short(thing.name)}")


def short(value: str | None) -> str:
    """A digest, short enough for a line; a name as it is."""
    if value is None:
        return "-"
    algorithm, colon, encoded = value.partition(":")
    return f"{algorithm}:{encoded[:12]}" if colon else value
