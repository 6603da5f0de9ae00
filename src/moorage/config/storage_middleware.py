"""``middleware.storage``, read: which delivery network stands before the bucket, and how long its URLs are kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from moorage.config.messages import mistakes_of
from moorage.config.root import Config
from moorage.config.sections.middleware import STORAGE_MIDDLEWARE, CdnOptions, UrlCacheOptions, names_of
from moorage.config.shown_names import nearest, shown
from moorage.errors import Mistake

_KIND = "storage"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageMiddleware:
    """The middleware that counts. Its order does not: URLs are kept behind the network, as in GitLab's registry."""

    cdn: CdnOptions | None = None
    name: str = ""
    """Of the network."""
    path: str = ""
    """The place of the network in the configuration."""
    cache: UrlCacheOptions | None = None


def storage_middleware(config: Config) -> StorageMiddleware:
    """Return what a configuration without mistakes has."""
    found: dict[str, Any] = {}
    for path, name, options in _entries(config):
        read = STORAGE_MIDDLEWARE[name].model_validate(options)
        if isinstance(read, UrlCacheOptions):
            found["cache"] = read
        else:
            found |= {"cdn": read, "name": name, "path": path}
    return StorageMiddleware(**found)


def middleware_mistakes(config: Config) -> Iterator[Mistake]:
    """Yield the mistakes of names and options, and of those that do not go together."""
    taken: dict[str, str] = {}
    for path, name, options in _entries(config):
        model = STORAGE_MIDDLEWARE.get(name)
        if model is None:
            near = nearest(name.lower(), STORAGE_MIDDLEWARE)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(STORAGE_MIDDLEWARE)}"
            yield Mistake(f"{path}.name", f"there is no storage middleware {shown(name)!r}; {hint}")
            continue
        role = "urlcache" if model is UrlCacheOptions else "delivery network"
        if role in taken:
            yield Mistake(path, f"there is at most one {role}, and {taken[role]} is it; take one of the two out")
        taken.setdefault(role, path)
        try:
            model.model_validate(options)
        except ValidationError as exc:
            yield from mistakes_of(exc, f"{path}.options")


def unknown_options(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the place of each option that is not known, and a hint at the one that was meant; empty: there is none."""
    for path, name, options in _entries(config):
        model = STORAGE_MIDDLEWARE.get(name)
        known = () if model is None else names_of(model)
        for key in options if known else ():
            if key not in known:
                near = nearest(key.lower(), known)
                yield f"{path}.options.{shown(key)}", f"; did you mean {path}.options.{near}?" if near else ""


def _entries(config: Config) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for index, item in enumerate(config.middleware.get(_KIND, [])):
        if not item.disabled:
            given = {key: value for key, value in item.options.items() if value is not None}
            if "updatefrenquency" in given:  # As Distribution wrote it once, and still reads it.
                given.setdefault("updatefrequency", given.pop("updatefrenquency"))
            yield f"middleware.{_KIND}[{index}]", item.name, given
