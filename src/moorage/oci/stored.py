"""Manifests that are stored already, read leniently: served as they are, whatever rules their registry had.

What may be pushed is decided strictly, in ``manifests.py``. Here a document that would be refused today gives what can
be read of it, and nothing raises: one that is odd must not keep a client from it, or from those beside it.
"""

import contextlib
from collections.abc import Iterator, Mapping

from moorage.oci import mediatypes
from moorage.oci.digests import Digest, digest_or_none
from moorage.oci.json_documents import let_go, object_of, read_json
from moorage.oci.manifests import Descriptor, JSONObject, is_unwritable, media_type_of

UNKNOWN_TYPE = "application/octet-stream"
"""Of a document that does not show what it is."""

_SIZE_LIMIT = 1 << 63


def read(payload: bytes) -> JSONObject:
    """The JSON object in *payload*, as readers in Go take it: bytes that are no UTF-8 are replaced; empty if none."""
    try:
        # A line of Python for each object is where other threads, such as the event loop's, get their turn, in what is
        # short for its length as well: without it 4 MiB are read in one go of 30 ms and more.
        value = read_json(_text_of(payload), object_pairs_hook=object_of)
    except ValueError:
        return {}
    if isinstance(value, dict):
        return value
    let_go(value, len(payload))
    return {}


@contextlib.contextmanager
def reading(payload: bytes) -> Iterator[JSONObject]:
    """Give what :func:`read` does to the block, and let go of it in turns at its end: no part of it may be kept."""
    value = read(payload)
    try:
        yield value
    finally:
        let_go(value, len(payload))


def shown_type(value: JSONObject) -> str:
    """The media type to serve the document under; see :func:`moorage.oci.manifests.media_type_of`."""
    shown = media_type_of(value)
    if shown == mediatypes.DOCKER_SCHEMA1 and "signatures" in value:
        return mediatypes.DOCKER_SCHEMA1_SIGNED
    return shown if shown is not None and is_header(shown) else UNKNOWN_TYPE


def is_header(text: str) -> bool:
    """Return whether *text* can be the value of a header."""
    return bool(text) and text.isascii() and text.isprintable()


def children(value: JSONObject) -> Iterator[Descriptor]:
    """The entries of an index that name a digest."""
    items = value.get("manifests")
    for item in items if isinstance(items, list) else ():
        descriptor = descriptor_of(item)
        if descriptor is not None:
            yield descriptor


def subject(value: JSONObject) -> Digest | None:
    """The manifest that this one is about."""
    found = descriptor_of(value.get("subject"))
    return None if found is None else found.digest


def artifact_type(value: JSONObject) -> str:
    """The kind of artifact: the field, else the type of the configuration."""
    config = value.get("config")
    return _text(value, "artifactType") or (_text(config, "mediaType") if isinstance(config, dict) else "")


def annotations(value: JSONObject) -> Mapping[str, str]:
    """The annotations that are text."""
    found = value.get("annotations")
    items = found.items() if isinstance(found, dict) else ()
    return {name: text for name, text in items if isinstance(text, str)}


def descriptor_of(value: object) -> Descriptor | None:
    """Read a descriptor; None if it names no digest that this registry knows."""
    digest = digest_or_none(value.get("digest")) if isinstance(value, dict) else None
    if not isinstance(value, dict) or digest is None:
        return None
    size, platform = value.get("size"), value.get("platform")
    return Descriptor(
        media_type=_text(value, "mediaType"),
        digest=digest,
        size_bytes=size if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < _SIZE_LIMIT else 0,
        artifact_type=_text(value, "artifactType"),
        annotations=annotations(value),
        platform=(_text(platform, "os"), _text(platform, "architecture")) if isinstance(platform, dict) else None,
    )


def _text_of(payload: bytes) -> str:
    try:
        return payload.decode("utf-8", "surrogatepass")  # As our own lists of referrers are written.
    except UnicodeDecodeError:
        return payload.decode("utf-8", "replace")


def _text(value: JSONObject, name: str) -> str:
    text = value.get(name)
    return text if isinstance(text, str) and not is_unwritable(text) else ""
