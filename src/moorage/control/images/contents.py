"""Contents of manifests: everything that images need, by digest, each manifest read once."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from moorage.control.registry.connection import the_registry
from moorage.control.registry.reading_answers import fields_in, number, objects, text
from moorage.oci.mediatypes import is_listed_manifest

MANIFESTS_LIMIT = 500
"""Manifests that are read of one repository; where there are more, nothing is counted."""


class TooManyManifests(Exception):
    """Raised where more manifests would have to be read than :data:`MANIFESTS_LIMIT`."""


@dataclass(slots=True)
class NeededContents:
    """The sizes of what some manifests need, by digest: the manifests, configurations and layers."""

    manifests: dict[str, int] = field(default_factory=dict)
    blobs: dict[str, int] = field(default_factory=dict)
    """Configurations and layers."""


@dataclass(slots=True)
class ManifestContents:
    """The manifests of one repository, as far as they were read."""

    path: str
    known: dict[str, tuple[NeededContents, list[str]]] = field(default_factory=dict)

    def of(self, digests: Iterable[str]) -> NeededContents:
        """Return all that these manifests and those below them need.

        Raises:
            TooManyManifests: too many would have to be read.
            RegistryError: the registry does not answer as it should.
        """
        found = NeededContents()
        todo = [digest for digest in digests if digest]
        seen = set(todo)
        while todo:
            parts, below = self._read(todo.pop())
            found.manifests |= parts.manifests
            found.blobs |= parts.blobs
            todo += [child for child in below if child not in seen]
            seen |= set(below)
        return found

    def _read(self, digest: str) -> tuple[NeededContents, list[str]]:
        if digest in self.known:
            return self.known[digest]
        if len(self.known) >= MANIFESTS_LIMIT:
            raise TooManyManifests
        manifest = the_registry().manifest(self.path, digest)
        found: tuple[NeededContents, list[str]] = (NeededContents(), [])
        if manifest is not None:
            value = fields_in(manifest.payload)
            config = value.get("config")
            listed = [(is_listed_manifest(one.get("mediaType")), one) for one in objects(value.get("manifests"))]
            blobs = [*objects(value.get("layers")), *([config] if isinstance(config, dict) else [])]
            blobs += [one for is_manifest, one in listed if not is_manifest]
            sizes = {text(blob, "digest"): number(blob, "size") or 0 for blob in blobs}
            below = [text(one, "digest") for is_manifest, one in listed if is_manifest and text(one, "digest")]
            found = NeededContents(manifests={digest: len(manifest.payload)}, blobs=sizes), below
        self.known[digest] = found
        return found
