"""Pulls of a trial: what other registries have stored ends none, and is named where nobody can read it."""

import json
from pathlib import Path
from typing import cast

import pytest

from moorage.backup.backup_folder import BackupFolder
from moorage.backup.scratch_registry import ScratchRegistry
from moorage.backup.trial_pulls import Puller
from moorage.backup.trial_report import SampledTag, VerifyReport
from moorage.oci.digests import Digest

LAYER = Digest.of(b"layer")


class OneManifest:
    """A registry with one manifest, and one layer."""

    def __init__(self, manifest: bytes) -> None:
        self._manifest = manifest

    def manifest(self, _repository: str, _reference: str) -> tuple[int, bytes]:
        return 200, self._manifest

    def blob(self, _repository: str, _digest: str) -> tuple[int, str, int]:
        return 200, str(LAYER), 5


def pulled(manifest: bytes, folder: Path) -> VerifyReport:
    report = VerifyReport(backup="one")
    registry = cast("ScratchRegistry", OneManifest(manifest))
    Puller(registry, BackupFolder(folder), report).pull(SampledTag("app", "1", str(Digest.of(manifest))))
    assert report.images == 1
    assert not report.problems.first
    return report


@pytest.mark.parametrize("manifest", [b"", b"no JSON", b"[]", b"[" * 100_000], ids=["empty", "text", "list", "deep"])
def test_a_manifest_that_nobody_can_read_is_named_and_ends_no_trial(manifest: bytes, tmp_path: Path) -> None:
    report = pulled(manifest, tmp_path)
    assert report.notes == ["app:1 is no JSON object: what it needs was not pulled"]


def test_a_byte_that_is_no_text_hides_no_layer(tmp_path: Path) -> None:
    layers = json.dumps([{"digest": str(LAYER)}]).encode()
    report = pulled(b'{"annotations":{"a":"\xff"},"layers":' + layers + b"}", tmp_path)
    assert (report.notes, report.pulled_blobs) == ([], 1)
