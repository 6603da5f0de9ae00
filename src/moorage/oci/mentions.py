"""All that a manifest of any kind names, read leniently: for garbage collection, which must not overlook anything.

What may be pushed is decided strictly, in ``manifests.py``. Here a manifest that would be refused today, because it
is of Docker's schema 1 or breaks a rule that its registry did not have, still keeps what it names.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from moorage.errors import ManifestInvalid
from moorage.oci import mediatypes
from moorage.oci.digests import Digest, digest_or_none
from moorage.oci.json_documents import let_go, read_json

_LISTS = ("config", "layers", "blobs", "manifests")
_SCHEMA1_LIST, _SCHEMA1_DIGEST = "fsLayers", "blobSum"


@dataclass(frozen=True, slots=True)
class Mentions:
    """The digests in a manifest."""

    references: tuple[Digest, ...]
    """Config, layers, entries of an index: of whatever kind each is, and layers that may stay elsewhere too."""
    children: tuple[Digest, ...]
    """Those of them that an index calls manifests, or does not say what they are."""
    sizes: Mapping[Digest, int]
    """Sizes in bytes as the manifest states them, of those things of which it states one."""
    subject: Digest | None
    """The manifest that this one is about; this one needs it no more than a letter needs its addressee."""


def mentions(payload: bytes) -> Mentions:
    """Read a manifest.

    Raises:
        ManifestInvalid: it is not a JSON object, so nobody knows what it names.
    """
    try:
        # As Go reads it, which stored these: a byte that is no UTF-8 spoils a text, and no digest.
        value = read_json(payload.decode("utf-8", "replace"))
    except ValueError as exc:
        msg = f"the manifest is not JSON: {exc}"
        raise ManifestInvalid(msg) from None
    try:
        if not isinstance(value, dict):
            msg = "a manifest is a JSON object"
            raise ManifestInvalid(msg)
        return _mentioned(value)
    finally:
        let_go(value, len(payload))


def _mentioned(value: Mapping[str, object]) -> Mentions:
    """All of it in one pass: a list may have as many entries as fit into a manifest."""
    references: list[Digest] = []
    children: list[Digest] = []
    sizes: dict[Digest, int] = {}
    for name in (*_LISTS, _SCHEMA1_LIST):
        items = value.get(name)
        key = _SCHEMA1_DIGEST if name == _SCHEMA1_LIST else "digest"
        for item in items if isinstance(items, list) else (items,):
            if not isinstance(item, dict) or (digest := digest_or_none(item.get(key))) is None:
                continue
            references.append(digest)
            if name == "manifests" and isinstance(items, list) and mediatypes.is_listed_manifest(item.get("mediaType")):
                children.append(digest)
            size = item.get("size")
            if name != _SCHEMA1_LIST and isinstance(size, int) and not isinstance(size, bool):
                sizes[digest] = size
    subject = value.get("subject")
    about = digest_or_none(subject.get("digest")) if isinstance(subject, dict) else None
    return Mentions(tuple(references), tuple(children), sizes, about)
