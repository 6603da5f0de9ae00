"""The difference of two images: layers, size, platforms, variables and labels. No I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from moorage.control.pages.image_details import ImageDetails, ImageStep


@dataclass(frozen=True, slots=True)
class ComparedValue:
    """One name with what each image has for it; None: it has none."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedLayers:
    """The layers of two images."""

    common: Sequence[ImageStep]
    gone: Sequence[ImageStep]
    """Those that only the first has."""
    new: Sequence[ImageStep]

    @property
    def common_bytes(self) -> int:
        """The bytes that both have."""
        return _bytes(self.common)

    @property
    def gone_bytes(self) -> int:
        """The bytes that only the first has."""
        return _bytes(self.gone)

    @property
    def new_bytes(self) -> int:
        """The bytes that a pull of the second costs whoever has the first."""
        return _bytes(self.new)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageComparison:
    """The difference of two images."""

    facts: Sequence[ComparedValue]
    layers: ComparedLayers
    environment: Sequence[ComparedValue]
    labels: Sequence[ComparedValue]
    is_same: bool
    """True: they are one and the same manifest."""

    @property
    def growth_bytes(self) -> int:
        """The bytes by which the second is larger; negative: it is smaller."""
        return self.layers.new_bytes - self.layers.gone_bytes


def compare(before: ImageDetails, after: ImageDetails) -> ImageComparison:
    """Return what has changed from *before* to *after*."""
    facts = [
        ComparedValue("Media type", before.media_type, after.media_type),
        ComparedValue("Platforms", _platforms(before), _platforms(after)),
        ComparedValue("Starts", before.entrypoint or None, after.entrypoint or None),
    ]
    return ImageComparison(
        facts=[fact for fact in facts if fact.before != fact.after],
        layers=_layers(before, after),
        environment=_changed(dict(before.environment), dict(after.environment)),
        labels=_changed(dict(before.labels), dict(after.labels)),
        is_same=before.digest == after.digest,
    )


def _layers(before: ImageDetails, after: ImageDetails) -> ComparedLayers:
    first, second = _with_layers(before.steps), _with_layers(after.steps)
    return ComparedLayers(
        common=[step for digest, step in second.items() if digest in first],
        gone=[step for digest, step in first.items() if digest not in second],
        new=[step for digest, step in second.items() if digest not in first],
    )


def _with_layers(steps: Iterable[ImageStep]) -> dict[str, ImageStep]:
    return {step.digest: step for step in steps if step.digest}


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[ComparedValue]:
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return [ComparedValue(name, before.get(name), after.get(name)) for name in names]


def _platforms(details: ImageDetails) -> str | None:
    return ", ".join(one.name for one in details.platforms) or details.platform or None


def _bytes(steps: Iterable[ImageStep]) -> int:
    return sum(step.size or 0 for step in steps)
