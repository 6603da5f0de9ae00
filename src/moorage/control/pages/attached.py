"""Contents of what is attached to an image, such as signatures and lists of packages, as text that people can read.

It is a stranger's: nothing of it is run or rendered, each part is read up to a bound, and what is no text is not shown.
Nothing here is verified either.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from moorage.control.registry.connection import the_registry
from moorage.control.registry.reading_answers import fields_in, number, objects, text
from moorage.control.registry.registry_errors import RegistryError

PART_LIMIT_BYTES = 2 << 20
"""A larger part is named and not read."""
PARTS_READ = 10
PARTS_LIMIT = 100
TEXT_LIMIT = 100_000
"""Characters of a part that are shown."""
PACKAGES_LIMIT = 500
_NOTES_LIMIT = 100


@dataclass(frozen=True, slots=True)
class ListedPackage:
    """A package that a list of packages names."""

    name: str
    version: str
    licence: str = ""


@dataclass(slots=True, kw_only=True)
class AttachedPart:
    """One of the blobs of an artifact."""

    media_type: str
    digest: str
    size: int | None
    notes: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""
    """Empty: it is no text, or too large, or not there."""
    is_cut: bool = False
    is_large: bool = False
    kind: str = ""
    """``statement`` for what an attestation says; ``packages`` for a list of packages."""
    predicate: str = ""
    packages: Sequence[ListedPackage] = ()
    packages_count: int = 0


@dataclass(slots=True, kw_only=True)
class AttachedArtifact:
    """Something that is attached to an image."""

    digest: str
    artifact_type: str
    subject: str
    notes: list[tuple[str, str]]
    parts: list[AttachedPart]


def artifact_of(path: str, digest: str) -> AttachedArtifact | None:
    """Return what is under *digest*; None: there is no such manifest.

    Raises:
        RegistryError: the registry does not answer as it should.
    """
    manifest = the_registry().manifest(path, digest)
    if manifest is None:
        return None
    value = fields_in(manifest.payload)
    config, subject = value.get("config"), value.get("subject")
    kind = text(value, "artifactType")
    if not kind and isinstance(config, dict):
        kind = text(config, "mediaType")
    layers = [*objects(value.get("layers")), *objects(value.get("blobs"))][:PARTS_LIMIT]
    return AttachedArtifact(
        digest=manifest.digest,
        artifact_type=kind or manifest.media_type,
        subject=text(subject, "digest") if isinstance(subject, dict) else "",
        notes=_notes(value.get("annotations")),
        parts=[_part(path, layer, is_read=place < PARTS_READ) for place, layer in enumerate(layers)],
    )


def _part(path: str, layer: Mapping[str, object], *, is_read: bool) -> AttachedPart:
    found = AttachedPart(
        media_type=text(layer, "mediaType"),
        digest=text(layer, "digest"),
        size=number(layer, "size"),
        notes=_notes(layer.get("annotations")),
    )
    found.is_large = found.size is None or found.size > PART_LIMIT_BYTES
    if is_read and found.digest and not found.is_large:
        try:
            payload = the_registry().blob(path, found.digest)
        except RegistryError:
            payload = None
        found.is_large = len(payload or b"") > PART_LIMIT_BYTES  # What it says of its size may be wrong.
        read_part(found, b"" if found.is_large else payload or b"")
    return found


def read_part(found: AttachedPart, payload: bytes) -> None:
    """Take what can be shown of *payload*; what makes no sense is shown as the text that it is, or not at all."""
    try:
        shown = payload.decode()
    except UnicodeDecodeError:
        return
    if "\0" in shown:
        return
    value = fields_in(payload)
    if value:
        value = _statement(found, value)
        _read_packages(found, value)
        shown = json.dumps(value, indent=2, ensure_ascii=False)
    found.text, found.is_cut = shown[:TEXT_LIMIT], len(shown) > TEXT_LIMIT


def _statement(found: AttachedPart, value: Mapping[str, object]) -> Mapping[str, object]:
    """Return the inside of an envelope of signatures, where it is one. Source: DSSE; in-toto attestations."""
    try:
        inner = fields_in(base64.b64decode(text(value, "payload"), validate=True)) if "payloadType" in value else {}
    except (binascii.Error, ValueError):
        inner = {}
    value = inner or value
    if "predicateType" in value:
        found.kind, found.predicate = "statement", text(value, "predicateType")
    return value


def _read_packages(found: AttachedPart, value: Mapping[str, object]) -> None:
    """Packages of SPDX and of CycloneDX, also where an attestation holds them."""
    predicate = value.get("predicate")
    for one in (value, predicate if isinstance(predicate, dict) else {}):
        rows = list(_spdx(one)) if "spdxVersion" in one else list(_cyclone(one)) if "bomFormat" in one else []
        if rows:
            found.kind, found.packages_count = "packages", len(rows)
            found.packages = sorted(rows, key=lambda row: (row.name.lower(), row.version))[:PACKAGES_LIMIT]


def _spdx(value: Mapping[str, object]) -> Iterable[ListedPackage]:
    for item in objects(value.get("packages")):
        licence = text(item, "licenseConcluded") or text(item, "licenseDeclared")
        yield ListedPackage(text(item, "name"), text(item, "versionInfo"), "" if licence == "NOASSERTION" else licence)


def _cyclone(value: Mapping[str, object]) -> Iterable[ListedPackage]:
    for item in objects(value.get("components")):
        licences = [
            text(inner, "id") or text(inner, "name")
            for one in objects(item.get("licenses"))
            if isinstance(inner := one.get("license"), dict)
        ]
        yield ListedPackage(text(item, "name"), text(item, "version"), ", ".join(licences))


def _notes(value: object) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return []
    return sorted((str(name), str(said)) for name, said in value.items())[:_NOTES_LIMIT]
