"""The inside of an image, from its manifest and its configuration: platforms, layers with their steps, variables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from moorage.control.registry.connection import the_registry
from moorage.control.registry.reading_answers import fields_in, number, objects, text, words
from moorage.control.registry.registry_errors import RegistryError
from moorage.oci.mediatypes import REFERENCE_TYPE, is_listed_manifest

CONFIG_LIMIT_BYTES = 4 << 20
ITEMS_LIMIT = 500
"""Layers, steps and variables that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePlatform:
    """One of the images of an index."""

    name: str
    digest: str
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStep:
    """A build step, and the layer that it made."""

    number: int
    text: str
    digest: str = ""
    size: int | None = None


@dataclass(slots=True)
class ImageDetails:
    """An image as people look at it."""

    media_type: str
    digest: str
    manifest_digest: str = ""
    """Of the platform that is shown, where it is one of several."""
    config_digest: str = ""
    platforms: list[ImagePlatform] = field(default_factory=list)
    platform: str = ""
    attestations: list[str] = field(default_factory=list)
    """Digests of what builders have put beside the platforms."""
    steps: list[ImageStep] = field(default_factory=list)
    environment: list[tuple[str, str]] = field(default_factory=list)
    labels: list[tuple[str, str]] = field(default_factory=list)
    entrypoint: str = ""
    size: int | None = None


def details_of(path: str, reference: str, *, platform: str = "") -> ImageDetails | None:
    """Return the inside of an image; *platform*: which one of an index. None: there is no such manifest.

    Raises:
        RegistryError: the registry does not answer as it should.
    """
    manifest = the_registry().manifest(path, reference)
    if manifest is None:
        return None
    found, value = ImageDetails(manifest.media_type, manifest.digest), fields_in(manifest.payload)
    if isinstance(value.get("manifests"), list):
        blobs = _read_index(found, value)
        if blobs and not found.platforms:  # A build cache.
            _read_image(found, path, {"layers": blobs})
            return found
        chosen = next((one for one in found.platforms if one.name == platform), None)
        chosen = chosen or next(iter(found.platforms), None)
        if chosen is None:
            return found
        found.platform, found.manifest_digest = chosen.name, chosen.digest
        child = the_registry().manifest(path, chosen.digest)
        value = fields_in(child.payload) if child is not None else {}
    _read_image(found, path, value)
    return found


def platform_text(value: Mapping[str, object]) -> str:
    """Return a platform as people write it: ``linux/arm64/v8``."""
    parts = [text(value, "os"), text(value, "architecture"), text(value, "variant")]
    return "/".join(word for word in parts if word and word != "unknown")


def _read_index(found: ImageDetails, value: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Read the images that are listed; return the blobs that are."""
    blobs = []
    for child in list(objects(value.get("manifests")))[:ITEMS_LIMIT]:
        if not is_listed_manifest(child.get("mediaType")):
            blobs.append(child)
            continue
        notes, about = child.get("annotations"), child.get("platform")
        if isinstance(notes, dict) and REFERENCE_TYPE in notes:
            found.attestations.append(text(child, "digest"))
            continue
        name = platform_text(about) if isinstance(about, dict) else ""
        digest = text(child, "digest")
        if digest:
            size = number(child, "size")
            found.platforms.append(ImagePlatform(name=name or digest[:19], digest=digest, size=size))
    return blobs


def _read_image(found: ImageDetails, path: str, value: Mapping[str, object]) -> None:
    layers, config = list(objects(value.get("layers")))[:ITEMS_LIMIT], value.get("config")
    sizes = [number(layer, "size") or 0 for layer in layers]
    found.size = sum(sizes) if layers else None
    history: list[Mapping[str, object]] = []
    if isinstance(config, dict):
        found.config_digest = text(config, "digest")
        inside = _config(path, config)
        history = list(objects(inside.get("history")))[:ITEMS_LIMIT]
        _read_config(found, inside)
    found.steps = list(_steps(layers, history))


def _config(path: str, config: Mapping[str, object]) -> Mapping[str, object]:
    digest = text(config, "digest")
    if not digest or (number(config, "size") or 0) > CONFIG_LIMIT_BYTES:
        return {}
    try:
        blob = the_registry().blob(path, digest)
    except RegistryError:
        return {}  # Its layers can be shown without it.
    return fields_in(blob) if blob is not None else {}


def _read_config(found: ImageDetails, inside: Mapping[str, object]) -> None:
    found.platform = found.platform or platform_text(inside)
    settings = inside.get("config")
    if not isinstance(settings, dict):
        return
    variables = [word for word in words(settings.get("Env"))[:ITEMS_LIMIT] if "=" in word]
    found.environment = [(word.partition("=")[0], word.partition("=")[2]) for word in variables]
    labels = settings.get("Labels")
    if isinstance(labels, dict):
        found.labels = sorted((str(name), str(said)) for name, said in labels.items())[:ITEMS_LIMIT]
    found.entrypoint = " ".join([*words(settings.get("Entrypoint")), *words(settings.get("Cmd"))])


def _steps(layers: list[Mapping[str, object]], history: list[Mapping[str, object]]) -> Iterable[ImageStep]:
    """Steps in their order; one that made a layer has it. Layers without a history stand alone."""
    left = iter(layers)
    count = 0
    for count, step in enumerate(history, start=1):
        layer = None if step.get("empty_layer") is True else next(left, None)
        yield _step(count, _said(step), layer)
    for number_, layer in enumerate(left, start=count + 1):
        yield _step(number_, text(layer, "mediaType"), layer)


def _step(place: int, said: str, layer: Mapping[str, object] | None) -> ImageStep:
    if layer is None:
        return ImageStep(number=place, text=said)
    return ImageStep(number=place, text=said, digest=text(layer, "digest"), size=number(layer, "size"))


def _said(step: Mapping[str, object]) -> str:
    """The instruction as its author wrote it, without what the builder has put around it."""
    said = text(step, "created_by")
    said = said.removeprefix("/bin/sh -c #(nop) ").removeprefix("|0 ").removesuffix(" # buildkit").strip()
    said = said.removeprefix("RUN ") if said.startswith("RUN /bin/sh -c ") else said
    return said.replace("/bin/sh -c ", "RUN ", 1) if said.startswith("/bin/sh -c ") else said
