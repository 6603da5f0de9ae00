"""The second part of a check where there is a database: every manifest's payload against what is noted of it."""

from collections.abc import Sequence

from moorage.errors import ManifestInvalid
from moorage.integrity.findings import Finding, FindingKind
from moorage.integrity.progress import CheckProgress
from moorage.integrity.repairing import QUEUED
from moorage.metadata.integrity import ManifestRecord, ManifestRecordStore, ManifestRepairStore, Relations
from moorage.oci.digests import Digest
from moorage.oci.manifests import ManifestKind as ReferenceKind
from moorage.oci.manifests import decode, parse

PHASE = "manifests"

_PAGE = 200
_PAGE_BYTES = 8 << 20


class ManifestCheck:
    """Reads every manifest, in the order of their ids."""

    name = PHASE

    def __init__(self, records: ManifestRecordStore, repairs: ManifestRepairStore | None, *, verifies: bool) -> None:
        """*repairs*: None: nothing is changed. *verifies*: whether the digests of payloads are computed."""
        self._records = records
        self._repairs = repairs
        self._verifies = verifies

    async def run(self, progress: CheckProgress, position: str) -> None:
        """Check what comes after *position*."""
        last = int(position) if position else 0
        while page := await self._records.page(after=last, limit=_PAGE, limit_bytes=_PAGE_BYTES):
            suspects = [record.id for record in await self._odd(page)]
            findings = await self._settle(suspects)
            last = page[-1].id
            progress.tally.manifests += len(page)
            for finding in findings:
                progress.found(finding)
            await progress.reached(PHASE, str(last))
            progress.moved(0.0)

    async def _odd(self, page: Sequence[ManifestRecord]) -> Sequence[ManifestRecord]:
        relations = await self._records.relations([record.id for record in page])
        return [
            record
            for record in page
            if self._damage(record)
            or not (record.is_needed or record.is_queued)
            or _missing(record, set(relations.get(record.id, ())))
        ]

    async def _settle(self, suspects: Sequence[int]) -> Sequence[Finding]:
        """Look again: what is there before and after was noted in between, or something is wrong."""
        if not suspects:
            return ()
        before = await self._records.look(suspects)
        relations = await self._records.relations(suspects)
        after = await self._records.look(suspects)
        findings = []
        for identity in suspects:
            record = after.get(identity)
            if record is None or identity not in before or before[identity].created_at != record.created_at:
                continue  # It was collected meanwhile.
            if damage := self._damage(record):
                findings.append(_finding(FindingKind.MANIFEST_DAMAGED, record, detail=damage))
            elif missing := _missing(record, set(relations.get(identity, ()))):
                detail = f"not noted: {', '.join(sorted(map(str, missing)))}"
                repair = await self._relate(record, missing)
                findings.append(_finding(FindingKind.MANIFEST_INCOMPLETE, record, detail=detail, repair=repair))
            if not (record.is_needed or record.is_queued):
                repair = await self._review(record)
                findings.append(_finding(FindingKind.MANIFEST_UNREVIEWED, record, repair=repair))
        return findings

    def _damage(self, record: ManifestRecord) -> str:
        if self._verifies:
            actual = Digest.of(record.payload, record.digest.algorithm)
            if actual != record.digest:
                return f"the payload is {actual}"
        try:
            decode(record.payload)
        except ManifestInvalid as exc:
            return exc.message
        return ""

    async def _relate(self, record: ManifestRecord, missing: set[Digest]) -> str:
        if self._repairs is None:
            return ""
        needs = _needs(record)
        wanted = Relations(
            config=needs.config if needs.config in missing else None,
            blobs=[digest for digest in needs.blobs if digest in missing],
            children=[digest for digest in needs.children if digest in missing],
        )
        return "noted" if await self._repairs.relate(record.id, wanted) else ""

    async def _review(self, record: ManifestRecord) -> str:
        if self._repairs is None:
            return ""
        await self._repairs.review(record.id)
        return QUEUED


def _needs(record: ManifestRecord) -> Relations:
    """Return what a payload names. One in a format that this version does not read names nothing to compare."""
    try:
        manifest = parse(record.payload, record.media_type)
    except ManifestInvalid:
        return Relations()
    config = None if manifest.config is None else manifest.config.digest
    references = [(ref.kind, ref.descriptor.digest) for ref in manifest.references]
    blobs = {digest for kind, digest in references if kind is not ReferenceKind.MANIFEST}
    return Relations(
        config=config,
        blobs=(blobs | {descriptor.digest for descriptor in manifest.elsewhere}) - {config},
        children={digest for kind, digest in references if kind is not ReferenceKind.BLOB},
    )


def _missing(record: ManifestRecord, noted: set[Digest]) -> set[Digest]:
    needs = _needs(record)
    wanted = {*needs.blobs, *needs.children, *(() if needs.config is None else (needs.config,))}
    return wanted - noted - {record.digest}


def _finding(kind: FindingKind, record: ManifestRecord, *, detail: str = "", repair: str = "") -> Finding:
    return Finding(
        kind=kind,
        subject=str(record.digest),
        size_bytes=len(record.payload),
        repository=record.repository,
        detail=detail,
        repair=repair,
    )
