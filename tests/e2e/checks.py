"""What must be true of a registry at any moment: asked over HTTP, and looked up in its folder."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from e2e.wire import Answer, Wire

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


def assert_content(answer: Answer, digest: str, what: str) -> None:
    """The body of a 200 is what *digest* says."""
    assert answer.status == 200, (what, answer.status, answer.body[:300])
    algorithm, _, encoded = digest.partition(":")
    assert hashlib.new(algorithm, answer.body).hexdigest() == encoded, f"{what}: the bytes are not those of {digest}"


def assert_everything_listed_is_whole(wire: Wire) -> int:
    """Every repository answers, every tag resolves, every manifest has its bytes and its blobs; counts the tags."""
    count = 0
    for repository in wire.catalogue():
        for tag in wire.tags(repository):
            answer = wire.manifest(repository, tag)
            assert answer.status == 200, f"{repository}:{tag} is listed and answers {answer.status}: {answer.body!r}"
            assert_manifest_is_whole(wire, repository, answer)
            count += 1
    return count


def assert_manifest_is_whole(wire: Wire, repository: str, answer: Answer) -> None:
    """The manifest's bytes match its digest, and all that it names is there and matches too."""
    digest = answer.headers["docker-content-digest"]
    assert_content(answer, digest, repository)
    manifest = json.loads(answer.body)
    for child in manifest.get("manifests", []):
        assert_manifest_is_whole(wire, repository, wire.manifest(repository, child["digest"]))
    for entry in [manifest["config"], *manifest["layers"]] if "config" in manifest else []:
        assert_content(wire.blob(repository, entry["digest"]), entry["digest"], f"{repository} {digest}")


def assert_folder_is_sound(data: Path) -> None:
    """In the storage folder no link and no blob is half-written: another registry may serve the folder."""
    root = data / "docker" / "registry" / "v2"
    for path in root.glob("repositories/**/link"):
        assert _DIGEST.fullmatch(path.read_text()), (path, path.read_bytes())
    for path in root.glob("blobs/*/*/*/data"):
        algorithm, encoded = path.parts[-4], path.parts[-2]
        assert hashlib.new(algorithm, path.read_bytes()).hexdigest() == encoded, path


def upload_folders(data: Path, repository: str) -> list[Path]:
    """The upload sessions that a repository has on disk."""
    folder = data / "docker" / "registry" / "v2" / "repositories" / repository / "_uploads"
    return sorted(folder.iterdir()) if folder.exists() else []


def files_below(folder: Path) -> Iterator[Path]:
    """Every regular file; folders that vanish meanwhile are passed over."""
    return (path for path in folder.rglob("*") if path.is_file())
