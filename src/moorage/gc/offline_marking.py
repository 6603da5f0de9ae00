"""The mark stage of an offline collection: which manifests stay, and what they refer to. Nothing is changed here.

Without ``delete_untagged`` every manifest stays that has a revision link. With it, these do, in their repository:

* what a tag points to;
* what an index lists that stays, and so on downwards;
* what has a subject that stays: signatures and attestations hang on their image. They do not keep it.

A link counts as it does when the registry serves: an empty one is what a crash leaves of Distribution and says
nothing; of any other one the path says what is there. One that does not say the digest of its path is reported.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from moorage.errors import ManifestInvalid
from moorage.gc.marks import Repository
from moorage.gc.offline_run import LINKS_BATCH, Run, batched, digests_in, pages_of, parsed
from moorage.oci.digests import Digest
from moorage.oci.mentions import Mentions, mentions
from moorage.oci.names import Tag
from moorage.storage import paths

_PAYLOAD_LIMIT_BYTES = 64 << 20
"""More than any registry takes."""


@dataclass(frozen=True, slots=True)
class _Damaged:
    """A payload that is not what it should be."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Found:
    """A manifest that has a link."""

    digest: Digest
    payload: Mentions | _Damaged | None


async def mark_repository(run: Run, repository: Repository) -> None:
    """Look at all manifests of a repository."""
    name = repository.name
    if run.options.delete_untagged:
        async for entries in pages_of(run.storage, paths.tags(name)):
            for batch in batched(entries):
                await _mark_tagged(run, repository, [Tag(entry.name) for entry in batch])
    async for digests in digests_in(run, paths.revisions(name)):
        await _mark_manifests(run, repository, digests)
    if run.has_grace:
        async for digests in digests_in(run, paths.layers(name), at_a_time=LINKS_BATCH):
            await _mark_young_layers(run, repository, digests)
    if run.options.delete_untagged:
        run.totals.manifests_to_delete += run.marks.settle(repository)
    run.reports.advanced()


async def _mark_tagged(run: Run, repository: Repository, tags: Sequence[Tag]) -> None:
    links = [paths.tag_link(repository.name, tag) for tag in tags]
    contents = await run.storage.get_each(links, lambda _, content: content)
    found = [_target(run, path, content) for path, content in zip(links, contents, strict=True)]
    run.marks.add_roots(repository, [digest for digest in found if digest is not None])


async def _mark_manifests(run: Run, repository: Repository, digests: Sequence[Digest]) -> None:
    links = [paths.revision_link(repository.name, digest) for digest in digests]

    def read(number: int, content: bytes) -> bytes | Mentions | _Damaged:
        return content if number < len(links) else _read(digests[number - len(links)], content)

    wanted = [*links, *map(paths.blob, digests)]
    contents = await run.storage.get_each(wanted, read, limit_bytes=_PAYLOAD_LIMIT_BYTES)
    found, elsewhere = [], []
    for digest, path, content, payload in zip(digests, links, contents, contents[len(links) :], strict=False):
        link = content if isinstance(content, bytes) else None
        target = _target(run, path, link)
        if not link:
            continue
        found.append(_Found(digest, None if isinstance(payload, bytes) else payload))
        if target is not None and target != digest:
            _tell_invalid(run, path, "names another digest than its path")
            elsewhere.append((digest, target))
    await _mark_found(run, repository, found)
    await _mark_elsewhere(run, repository, elsewhere)


async def _mark_found(run: Run, repository: Repository, found: Sequence[_Found]) -> None:
    run.totals.manifests += len(found)
    for manifest in found:
        where = {"repository": repository.name.text, "digest": str(manifest.digest)}
        if manifest.payload is None:
            run.totals.manifests_missing += 1
            run.log.warning("manifest without its payload: nobody can pull it, and it keeps nothing", **where)
        elif isinstance(manifest.payload, _Damaged):
            run.totals.manifests_damaged += 1
            reason = manifest.payload.reason
            run.log.error("manifest cannot be read: nobody knows what it refers to", **where, reason=reason)
    if not run.options.delete_untagged:
        run.marks.mark(digest for manifest in found for digest in _kept_with(manifest))
        return
    run.marks.add_manifests(repository, (manifest.digest for manifest in found))
    run.marks.add_edges(repository, (edge for manifest in found for edge in _edges(manifest)))
    roots = [manifest.digest for manifest in found if isinstance(manifest.payload, _Damaged)]
    if run.has_grace:
        stats = await run.storage.stat_each([paths.revision_link(repository.name, item.digest) for item in found])
        roots += [manifest.digest for manifest, stat in zip(found, stats, strict=True) if run.is_young(stat)]
    run.marks.add_roots(repository, roots)


async def _mark_elsewhere(run: Run, repository: Repository, links: Sequence[tuple[Digest, Digest]]) -> None:
    """A link that names another digest makes Distribution serve that one: it stays as long as what its path says."""
    targets = [target for _, target in links]
    payloads = await run.storage.get_each(
        [paths.blob(target) for target in targets],
        lambda number, content: _read(targets[number], content),
        limit_bytes=_PAYLOAD_LIMIT_BYTES,
    )
    found = [_Found(target, payload) for target, payload in zip(targets, payloads, strict=True)]
    if run.options.delete_untagged:
        run.marks.add_edges(repository, [*links, *(edge for manifest in found for edge in _edges(manifest))])
    else:
        run.marks.mark(digest for manifest in found for digest in _kept_with(manifest))


async def _mark_young_layers(run: Run, repository: Repository, digests: Sequence[Digest]) -> None:
    """Blobs that were just uploaded or mounted: their manifest may be on its way."""
    found = await run.storage.stat_each([paths.layer_link(repository.name, digest) for digest in digests])
    run.marks.mark(digest for digest, stat in zip(digests, found, strict=True) if run.is_young(stat))


def _read(digest: Digest, content: bytes) -> Mentions | _Damaged:
    if Digest.of(content, digest.algorithm) != digest:
        return _Damaged("its bytes have another digest")
    try:
        return mentions(content)
    except ManifestInvalid as exc:
        return _Damaged(exc.message)


def _kept_with(manifest: _Found) -> Iterable[Digest]:
    yield manifest.digest
    if isinstance(manifest.payload, Mentions):
        yield from manifest.payload.references


def _edges(manifest: _Found) -> Iterator[tuple[Digest, Digest]]:
    if isinstance(manifest.payload, Mentions):
        yield from ((manifest.digest, target) for target in manifest.payload.references)
        if manifest.payload.subject is not None:
            yield manifest.payload.subject, manifest.digest


def _target(run: Run, path: str, content: bytes | None) -> Digest | None:
    """What a link says; None if it is not there, or says nothing."""
    if content is None:
        return None
    target = parsed(content.decode("ascii", "replace").strip())
    if target is None:
        _tell_invalid(run, path, "is no digest" if content else "is empty")
    return target


def _tell_invalid(run: Run, path: str, reason: str) -> None:
    run.totals.links_invalid += 1
    run.log.warning("invalid link file", path=path, reason=reason)
