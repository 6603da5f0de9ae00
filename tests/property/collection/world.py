"""Everything that clients push: few things, so that everybody pushes the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from support.images import OCI_MANIFEST, Content, Image, artifact, blob, config, image_manifest, index

SPARSE: Final = RepositoryName("sparse/app")
"""Here manifests may name what is not there."""
STRICT: Final = (RepositoryName("group/app"), RepositoryName("group/base"))
REPOSITORIES: Final = (*STRICT, SPARSE)


@dataclass(frozen=True, eq=False)
class Item:
    """A manifest, and what it names."""

    content: Content
    blobs: tuple[Content, ...] = ()
    children: "tuple[Item, ...]" = ()
    subject: "Item | None" = None

    @property
    def digest(self) -> Digest:
        return Digest.parse(self.content.digest)


def blob_digest(content: Content) -> Digest:
    return Digest.parse(content.digest)


_LAYERS = [blob(number, 24) for number in range(6)]
_CONFIGS = [config(number) for number in range(2)]


def _image(number: int) -> Item:
    configuration = _CONFIGS[number % 2]
    layers = [_LAYERS[number], _LAYERS[4 + number % 2]]
    return Item(image_manifest(configuration, layers, annotations={"n": str(number)}), (configuration, *layers))


def _index(*children: Item, subject: Item | None = None) -> Item:
    described = None if subject is None else subject.content.descriptor()
    content = index([child.content for child in children], subject=described)
    return Item(content, children=children, subject=subject)


def _referrer(seed: str, subject: Item) -> Item:
    made: Image = artifact(seed, subject.content.as_type(OCI_MANIFEST), artifact_type="a/sbom")
    return Item(made.manifest, made.blobs, subject=subject)


IMAGES: Final = tuple(_image(number) for number in range(4))
_INNER = _index(IMAGES[0], IMAGES[1])
INDEXES: Final = (_INNER, _index(IMAGES[1], IMAGES[2]), _index(_INNER, IMAGES[3]))
_SIGNATURE = _referrer("signature", IMAGES[0])
REFERRERS: Final = (
    _SIGNATURE,
    _referrer("list of parts", INDEXES[0]),
    _referrer("of a referrer", _SIGNATURE),
    _index(IMAGES[3], subject=IMAGES[2]),
)
BLOBS: Final[Sequence[Content]] = (*_LAYERS, *_CONFIGS)
ITEMS: Final[Mapping[Digest, Item]] = {item.digest: item for item in (*IMAGES, *INDEXES, *REFERRERS)}
CONTENTS: Final[Mapping[Digest, Content]] = {
    blob_digest(content): content for content in (*BLOBS, *(each for item in REFERRERS for each in item.blobs))
}
