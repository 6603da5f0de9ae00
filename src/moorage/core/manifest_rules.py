"""Rules for every manifest that is pushed: sizes, counts, URLs, and what has to be there before it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from moorage.errors import ManifestInvalid, ManifestTooLarge
from moorage.moorage_errors import TooManyTags
from moorage.oci.manifests import SIZE_LIMIT_BYTES, Manifest, ManifestKind, ManifestReference
from moorage.oci.names import Tag

TAG_LIMIT = 100
"""Tags that one push by digest may carry. Source: distribution-spec § Pushing Manifests ("at least 10")."""

_TOTAL_LIMIT_BYTES = (1 << 63) - 1
"""The largest number of either database."""

_TYPE_LIMIT = 255
"""Characters of a media type. Source: RFC 6838 § 4.2 (127 on each side of the slash)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRules:
    """Rules that a pushed manifest has to keep (``validation.manifests``)."""

    size_limit_bytes: int = SIZE_LIMIT_BYTES
    reference_limit: int = 0
    """Descriptors that a manifest may have at most; 0: any number."""
    sparse: bool = False
    """True if blobs and children may be absent."""
    require_children: bool = True
    """True if an index may only be pushed after what it lists."""
    required_platforms: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    """With ``require_children``: ask only for children of these platforms; empty: for all."""
    allows_url: Callable[[str], bool] | None = None
    """Says of a URL elsewhere if a layer may be fetched from it; None: from any."""

    def check_size(self, size_bytes: int) -> None:
        """Refuse a manifest of so many bytes, before they have come.

        Raises:
            ManifestTooLarge: there is a limit, and this is over it.
        """
        limit = self.size_limit_bytes
        if size_bytes > limit:
            msg = f"the manifest is larger than the {limit} bytes that this registry accepts"
            raise ManifestTooLarge(msg, reason="MANIFEST_SIZE_LIMIT", limit=limit)

    def check(self, manifest: Manifest, *, size_bytes: int) -> None:
        """Refuse a manifest for what is in it; *size_bytes* is its own size.

        Raises:
            ManifestInvalid: it breaks a rule.
        """
        _check_sizes(manifest, size_bytes)
        _check_types(manifest)
        self._check_urls(manifest)
        limit = self.reference_limit
        if limit and len(manifest.references) > limit:
            msg = f"the manifest has {len(manifest.references)} references, this registry accepts {limit}"
            raise ManifestInvalid(msg, reason="MANIFEST_REFERENCE_LIMIT", limit=limit)

    def is_required(self, reference: ManifestReference) -> bool:
        """Return whether a reference's target has to be in the repository before the manifest."""
        if reference.kind is ManifestKind.BLOB:
            return True
        platforms = self.required_platforms
        return self.require_children and (not platforms or reference.descriptor.platform in platforms)

    def _check_urls(self, manifest: Manifest) -> None:
        if self.allows_url is None:
            return
        for layer in manifest.elsewhere:
            for url in layer.urls:
                if not url.startswith(("http://", "https://")) or not self.allows_url(url):
                    msg = "this registry does not allow layers at that URL"
                    raise ManifestInvalid(msg, digest=str(layer.digest), url=url[:200])


def check_tag_count(count: int) -> None:
    """Refuse a push under so many tags besides its digest.

    Raises:
        TooManyTags: they are more than :data:`TAG_LIMIT`.
    """
    if count > TAG_LIMIT:
        msg = f"a push takes at most {TAG_LIMIT} tags"
        raise TooManyTags(msg, tags=count, limit=TAG_LIMIT)


def parse_tags(texts: Sequence[str]) -> Sequence[Tag]:
    """Read the tags of a push by digest.

    Raises:
        TooManyTags: they are more than :data:`TAG_LIMIT`; this is told first.
        TagInvalid: one is outside the grammar.
    """
    check_tag_count(len(texts))
    return [Tag.parse(text) for text in texts]


def _check_sizes(manifest: Manifest, payload_bytes: int) -> None:
    """Refuse a manifest whose sizes add up to more than a database can count."""
    descriptors = (*(reference.descriptor for reference in manifest.references), *manifest.elsewhere)
    total = payload_bytes + sum(descriptor.size_bytes for descriptor in descriptors)
    if total > _TOTAL_LIMIT_BYTES:
        msg = f"the sizes of all descriptors and the manifest together are at most {_TOTAL_LIMIT_BYTES} bytes"
        raise ManifestInvalid(msg, total=str(total))


def _check_types(manifest: Manifest) -> None:
    """Refuse types that no list of referrers should have to carry."""
    if len(manifest.artifact_type) > _TYPE_LIMIT:
        msg = f"an artifactType, or the mediaType of a config, has at most {_TYPE_LIMIT} characters"
        raise ManifestInvalid(msg, length=len(manifest.artifact_type))
    if manifest.config is not None and len(manifest.config.media_type) > _TYPE_LIMIT:
        msg = f"the mediaType of a config has at most {_TYPE_LIMIT} characters"
        raise ManifestInvalid(msg, length=len(manifest.config.media_type))
