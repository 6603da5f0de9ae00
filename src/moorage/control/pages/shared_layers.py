"""The layers of an image that others have too, as far as the registry tells."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from moorage.control.pages.side_by_side import ask_side_by_side
from moorage.control.registry.connection import the_registry

LAYERS_ASKED = 40
"""Of an image; of those after them it is not said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSharing:
    """The images that have a layer besides one."""

    others: int
    """In the same repository."""
    is_more: bool = False
    is_elsewhere: bool = False
    """True: an image of another repository has it."""

    @property
    def is_alone(self) -> bool:
        """True if no other image has it, so that its bytes come free with this one."""
        return not self.others and not self.is_elsewhere


def sharing_of(path: str, layers: Sequence[str], *, of: Collection[str]) -> dict[str, LayerSharing]:
    """Return by digest how each of *layers* is shared with images other than those *of* these digests."""
    asked = list(dict.fromkeys(layers))[:LAYERS_ASKED]
    answers = ask_side_by_side(asked, lambda digest: the_registry().moorage.fates(path, digest))
    found = {}
    for digest, fates in zip(asked, answers, strict=True):
        blob = next((fate for fate in fates or () if fate.kind == "blob"), None)
        if blob is not None:
            others = {one.digest for one in blob.holders if not one.is_deleted} - set(of)
            found[digest] = LayerSharing(
                others=len(others), is_more=blob.is_more, is_elsewhere=blob.is_needed_elsewhere
            )
    return found
