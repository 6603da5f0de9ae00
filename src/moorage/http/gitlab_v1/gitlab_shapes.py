"""Answers of GitLab's API, as JSON values.

Source: GitLab features V1A-004, V1A-005, V1A-009, V1A-011, V1A-019, V1A-029.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from moorage.core.details import RepositoryView
from moorage.metadata.details import Configuration, Image, Referrer, RepositoryDetails, TagDetails, TagEntry, Times
from moorage.metadata.import_records import ImportPhase, ImportRecord

Shape = dict[str, object]


def moment(value: datetime) -> str:
    """A moment with milliseconds; what is finer is cut off."""
    return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def described(repository: RepositoryView) -> Shape:
    """A repository with everything that was asked for."""
    shape: Shape = {"name": repository.name.text.rpartition("/")[2], "path": repository.name.text}
    if repository.size is not None:
        shape["size_bytes"] = repository.size.size_bytes
        shape["size_precision"] = repository.size.precision.value
    if repository.details is not None:
        shape |= _dates(repository.details)
        if repository.details.last_published_at is not None:
            shape["last_published_at"] = moment(repository.details.last_published_at)
    return shape


def listed(repository: RepositoryDetails) -> Shape:
    """A repository in a list."""
    return {"name": repository.name.text.rpartition("/")[2], "path": repository.name.text, **_dates(repository)}


def tag_entry(entry: TagEntry, referrers: Sequence[Referrer]) -> Shape:
    """A tag in a list."""
    shape: Shape = {"name": entry.name, "digest": str(entry.digest)}
    if entry.config_digest is not None:
        shape["config_digest"] = str(entry.config_digest)
    shape |= {"media_type": entry.media_type, "size_bytes": entry.size_bytes, **_times(entry.times)}
    if referrers:
        shape["referrers"] = [{"artifactType": item.artifact_type, "digest": str(item.digest)} for item in referrers]
    return shape


def tag_details(repository: str, tag: TagDetails) -> Shape:
    """One tag."""
    return {"repository": repository, "name": tag.name.text, "image": _image(tag.image), **_times(tag.times)}


def import_attempt(number: int, record: ImportRecord) -> Shape:
    """A run of an import; it is recorded at the moment at which it begins."""
    shape: Shape = {"id": number, "created_at": moment(record.started_at), "started_at": moment(record.started_at)}
    shape |= {phase.value: phase in record.phases for phase in ImportPhase}
    shape["repositories_count"] = record.repositories
    shape["tags_count"] = record.tags
    shape["manifests_count"] = record.manifests
    if ImportPhase.BLOB_IMPORT in record.phases:
        shape |= {"blobs_count": record.blobs, "blobs_size_bytes": record.blobs_size_bytes}
    shape["storage_driver"] = record.storage_driver
    if record.finished_at is not None:
        shape["finished_at"] = moment(record.finished_at)
    for phase, found in record.phases.items():
        shape[f"{phase.value}_started_at"] = moment(found.started_at)
        if found.finished_at is not None:
            shape[f"{phase.value}_finished_at"] = moment(found.finished_at)
        if found.error:
            shape[f"{phase.value}_error"] = found.error
    return shape


def _image(image: Image) -> Shape:
    manifest: Shape = {"digest": str(image.digest), "media_type": image.media_type}
    if image.references:
        manifest["references"] = [_image(child) for child in image.references]
    shape: Shape = {"size_bytes": image.size_bytes, "manifest": manifest}
    if image.configuration is not None:
        shape["config"] = _configuration(image.configuration)
    return shape


def _configuration(configuration: Configuration) -> Shape:
    shape: Shape = {"digest": str(configuration.digest), "media_type": configuration.media_type}
    if configuration.platform is not None:
        shape["platform"] = {"architecture": configuration.platform.architecture, "os": configuration.platform.os}
    return shape


def _dates(repository: RepositoryDetails) -> Shape:
    shape: Shape = {"created_at": moment(repository.created_at)}
    if repository.updated_at is not None:
        shape["updated_at"] = moment(repository.updated_at)
    return shape


def _times(times: Times) -> Shape:
    shape: Shape = {"created_at": moment(times.created_at)}
    if times.updated_at is not None:
        shape["updated_at"] = moment(times.updated_at)
    shape["published_at"] = moment(times.published_at)
    return shape
