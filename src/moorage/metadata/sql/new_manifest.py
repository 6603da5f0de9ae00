"""A manifest on its way into the database, as columns."""

from dataclasses import dataclass
from typing import Self

from moorage.metadata.sql.digest_keys import digest_key
from moorage.oci import mediatypes
from moorage.oci.json_documents import write_json
from moorage.oci.manifests import Manifest, ManifestKind, StoredManifest
from moorage.sql.base import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class NewManifest:
    """The columns of a manifest, and the digests of what it refers to."""

    digest: bytes
    media_type: str
    artifact_type: str
    payload: bytes
    total_size: int
    config: bytes | None
    config_media_type: str | None
    config_payload: bytes | None
    subject: bytes | None
    annotations: str | None
    blobs: list[bytes]
    """All but the configuration."""
    children: list[bytes]

    @classmethod
    def of(cls, stored: StoredManifest, manifest: Manifest, configuration: bytes | None) -> Self:
        """Gather what is to be written of a manifest that was checked."""
        config, subject = manifest.config, manifest.subject
        # Layers that may stay elsewhere too: none is required, and one that somebody has pushed is needed all the same.
        layers = [ref.descriptor for ref in manifest.references if ref.kind is not ManifestKind.MANIFEST]
        blobs = {digest_key(descriptor.digest) for descriptor in (*layers, *manifest.elsewhere)}
        children = {
            digest_key(ref.descriptor.digest) for ref in manifest.references if ref.kind is not ManifestKind.BLOB
        }
        config_key = None if config is None else digest_key(config.digest)
        return cls(
            digest=digest_key(stored.digest),
            media_type=stored.media_type,
            artifact_type=manifest.artifact_type,
            payload=stored.payload,
            total_size=_total_size(stored, manifest),
            config=config_key,
            config_media_type=None if config is None else config.media_type,
            config_payload=configuration,
            subject=None if subject is None else digest_key(subject.digest),
            annotations=None if subject is None else write_json(manifest.annotations, parts=len(manifest.annotations)),
            blobs=sorted(key for key in blobs if key != config_key),
            children=sorted(children),
        )

    @property
    def needs(self) -> set[bytes]:
        """Everything that it refers to, but its subject."""
        return {*self.blobs, *self.children, *(() if self.config is None else (self.config,))}

    def arguments(self) -> tuple[Value, ...]:
        """The columns and lists, in the order of ``put_manifest_v2``."""
        columns = (self.digest, self.media_type, self.artifact_type, self.payload, self.total_size)
        config = (self.config, self.config_media_type, self.config_payload)
        return (*columns, *config, self.subject, self.annotations, self.blobs, self.children)


def _total_size(stored: StoredManifest, manifest: Manifest) -> int:
    """Bytes of an image: its manifest, configuration and layers; 0 for anything else, as GitLab has it.

    A build cache is an image whose layers are the entries of an index.
    """
    if manifest.media_type in mediatypes.INDEXES:
        entries = [ref.descriptor.size_bytes for ref in manifest.references if ref.kind is ManifestKind.EITHER]
        return len(stored.payload) + sum(entries) if entries else 0
    if manifest.media_type not in mediatypes.IMAGES or manifest.config is None:
        return 0
    references = [ref.descriptor for ref in manifest.references if ref.descriptor.digest != manifest.config.digest]
    layers = sum(descriptor.size_bytes for descriptor in (*references, *manifest.elsewhere))
    return len(stored.payload) + manifest.config.size_bytes + layers
