"""Pulls of images from the registry of a trial, as a client makes them."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from moorage.backup.backup_folder import BackupBlob, BackupFolder, BackupRefused
from moorage.backup.scratch_registry import ScratchRegistry
from moorage.backup.trial_report import SampledTag, VerifyReport
from moorage.oci import stored
from moorage.oci.mediatypes import is_listed_manifest

_DEPTH = 4
_CHILDREN = 50


class Puller:
    """Client of the registry of a trial, which compares what comes with its digests."""

    def __init__(self, registry: ScratchRegistry, folder: BackupFolder, report: VerifyReport) -> None:
        self._registry = registry
        self._folder = folder
        self._report = report

    def pull(self, tag: SampledTag) -> None:
        """Pull what a tag points to."""
        self._report.images += 1
        self._manifest(tag.repository, tag.tag, tag.digest, depth=_DEPTH)

    def _manifest(self, repository: str, reference: str, digest: str, *, depth: int) -> None:
        status, body = self._registry.manifest(repository, reference)
        name = f"{repository}:{reference}" if reference != digest else f"{repository}@{digest}"
        if status == HTTPStatus.NOT_FOUND and reference == digest:  # An index may list what nobody has pushed.
            return
        if status != HTTPStatus.OK:
            self._report.problems.add(f"{name} cannot be pulled: status {status}")
            return
        if _sum_of(body, digest) != digest:
            self._report.problems.add(f"{name} is damaged: its manifest is not {digest}")
            return
        document = stored.read(body)
        if not document:
            self._report.notes.append(f"{name} is no JSON object: what it needs was not pulled")
        for blob in _blobs_in(document):
            self._blob(repository, blob)
        for child in _digests(_listed(document, are_manifests=True))[:_CHILDREN]:
            if depth:
                self._manifest(repository, child, child, depth=depth - 1)

    def _blob(self, repository: str, digest: str) -> None:
        status, found, size_bytes = self._registry.blob(repository, digest)
        if status == HTTPStatus.NOT_FOUND and not self._is_kept(digest):  # It is elsewhere, or was lost before.
            return
        self._report.pulled_blobs += 1
        self._report.pulled_bytes += size_bytes
        if status != HTTPStatus.OK or found != digest:
            self._report.problems.add(
                f"{repository}@{digest} cannot be pulled: status {status}, {size_bytes} bytes of {found}"
            )

    def _is_kept(self, digest: str) -> bool:
        try:
            return self._folder.blob(BackupBlob.of_line(json.dumps([digest, 0, False])).digest).exists()
        except BackupRefused:
            return False


def _sum_of(body: bytes, digest: str) -> str:
    algorithm = digest.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def _blobs_in(document: Mapping[str, Any]) -> Iterator[str]:
    config = document.get("config")
    yield from _digests([config] if config else [])
    yield from _digests(document.get("layers"))
    yield from _digests(_listed(document, are_manifests=False))


def _listed(document: Mapping[str, Any], *, are_manifests: bool) -> Sequence[object]:
    """List the manifests in an index, or its blobs, as a build cache has them."""
    entries = document.get("manifests")
    return [
        one
        for one in (entries if isinstance(entries, list) else ())
        if isinstance(one, dict) and is_listed_manifest(one.get("mediaType")) == are_manifests
    ]


def _digests(descriptors: object) -> list[str]:
    if not isinstance(descriptors, list):
        return []
    return [str(each["digest"]) for each in descriptors if isinstance(each, dict) and each.get("digest")]
