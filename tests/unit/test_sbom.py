"""The list of what an image consists of: read from its layers."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from support.parts_lists import fault_of

ROOT = Path(__file__).parents[2]
METADATA = "Metadata-Version: 2.4\nName: {}\nVersion: 1.2\nSummary: A part\nLicense-Expression: MIT\n"
NOTE = "Package: busybox\nVersion: 1:1.35.0-4+b1\nArchitecture: amd64\nDescription: small things\n more of it\n"


def packed(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    for name in ("part", "other"):
        with zipfile.ZipFile(tmp_path / f"{name}-1.2-py3-none-any.whl", "w") as archive:
            archive.writestr(f"{name}-1.2.dist-info/METADATA", METADATA.format(name))
            archive.writestr(f"{name}/vendored/x.dist-info/METADATA", "")
    return tmp_path


def test_an_image_has_its_debian_packages_and_its_wheels_and_no_others(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from make_sbom import sbom_of  # type: ignore[import-not-found]  # noqa: PLC0415 - scripts are on the path only now

    layers = {
        "a.tar": packed({"var/lib/dpkg/status.d/busybox": NOTE.encode()}),
        "b.tar": packed({"opt/moorage/lib/part-1.2.dist-info/METADATA": METADATA.format("Part").encode()}),
    }
    (tmp_path / "image.tar").write_bytes(packed(layers))
    text = sbom_of(wheels, tmp_path / "image.tar")
    assert text == sbom_of(wheels, tmp_path / "image.tar")
    assert fault_of(text) is None
    parts = {part["name"]: part for part in json.loads(text)["components"]}
    assert set(parts) == {"busybox", "part"}
    assert parts["busybox"]["purl"].startswith("pkg:deb/debian/busybox@1:1.35.0-4")
    assert parts["part"]["hashes"]
