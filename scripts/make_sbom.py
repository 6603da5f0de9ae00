"""Write what a release consists of, in CycloneDX's form: make_sbom.py OUT WHEELS [IMAGE.tar].

WHEELS is the folder of wheels; with the archive of an image, the Debian packages in its root are listed, too.
The same input gives the same file: its number is made of what is in it, and its time is SOURCE_DATE_EPOCH.
"""

import email.parser
import os
import sys
import tarfile
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.bom_ref import BomRef
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from moorage import __version__

_STATUS = "var/lib/dpkg/status.d/"
_METADATA = ".dist-info/METADATA"


def sbom_of(wheels: Path, image: Path | None = None) -> str:
    """Return the list as JSON: of the wheels, or of what the image has of them and of Debian."""
    named = "moorage" if image is None else f"moorage image {image.name}"
    kind = ComponentType.APPLICATION if image is None else ComponentType.CONTAINER
    top = Component(name=named, version=__version__, type=kind, bom_ref=BomRef(f"moorage@{__version__}"))
    known = {str(one.purl): one for one in _wheels(wheels)}
    found = list(known.values()) if image is None else [_with_hash(one, known) for one in _in_image(image)]
    found.sort(key=lambda one: str(one.purl))
    made = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC)
    number = uuid.uuid5(uuid.NAMESPACE_URL, "\n".join([named, *(str(one.purl) for one in found)]))
    bom = Bom(components=found, metadata=BomMetaData(component=top, timestamp=made), serial_number=number)
    bom.register_dependency(top, found)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _wheels(folder: Path) -> Iterator[Component]:
    for file in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(file) as archive:
            [metadata] = [name for name in archive.namelist() if name.endswith(_METADATA) and name.count("/") == 1]
            text = archive.read(metadata).decode()
        if not file.name.startswith("moorage-"):
            yield _package(text, hashes=[HashType(alg=HashAlgorithm.SHA_256, content=_digest(file))])


def _in_image(image: Path) -> Iterator[Component]:
    """Packages by the notes that the image's root has of them: there is neither dpkg nor pip."""
    with tarfile.open(image) as archive:
        layers = [member for member in archive.getmembers() if member.isfile() and member.name.endswith(".tar")]
        for member in layers:
            with tarfile.open(fileobj=archive.extractfile(member)) as layer:
                for note in layer:
                    is_deb, is_wheel = note.name.startswith(_STATUS), note.name.endswith(_METADATA)
                    text = layer.extractfile(note) if note.isfile() and (is_deb or is_wheel) else None
                    if text is not None and "/moorage-" not in note.name:
                        yield (_deb if is_deb else _package)(text.read().decode())


def _package(metadata: str, hashes: Sequence[HashType] = ()) -> Component:
    about = email.parser.Parser().parsestr(metadata)
    name, expression = about["Name"].lower().replace("_", "-"), about.get("License-Expression")
    purl = PackageURL("pypi", None, name, about["Version"])
    return Component(
        name=name,
        version=about["Version"],
        purl=purl,
        bom_ref=BomRef(str(purl)),
        type=ComponentType.LIBRARY,
        description=about.get("Summary"),
        hashes=hashes,
        licenses=[LicenseFactory().make_from_string(expression)] if expression else [],
    )


def _deb(note: str) -> Component:
    about = email.parser.Parser().parsestr(note)
    qualifiers = {"arch": about["Architecture"], "distro": "bookworm"}
    purl = PackageURL("deb", "debian", about["Package"], about["Version"], qualifiers)
    return Component(
        name=about["Package"],
        version=about["Version"],
        purl=purl,
        bom_ref=BomRef(str(purl)),
        type=ComponentType.LIBRARY,
        description=(about["Description"] or "").splitlines()[0],
    )


def _with_hash(one: Component, known: Mapping[str, Component]) -> Component:
    """*one*, with the hash of the wheel that it came from."""
    return known.get(str(one.purl), one)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    out, folder, *archives = map(Path, sys.argv[1:])
    out.write_text(sbom_of(folder, archives[0] if archives else None), encoding="utf-8")
