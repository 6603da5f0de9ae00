"""The mark stage of an offline collection: which manifests stay, and what they refer to. Nothing is changed here.

Without ``delete_untagged`` every manifest stays that has a revision link. With it, these do, in their repository:

* what an index lists that stays, and so on downwards;
* what has a subject that stays: signatures and attestations hang on their image. They do not keep it.

In both cases what a tag points to stays with all that it needs, whatever its own link files look like: a copy may have
lost some. A link that holds something else than the digest of its path is reported, and keeps what its path says.

Where something cannot be read nobody knows what it refers to. It can only be what is in the same repository, so that
repository is kept whole, and the others are collected. With ``ignore_damaged`` this is not so for what was read and is
damaged, but it is for what storage did not give: an outage of a minute is no damage.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from moorage.gc.offline.marks import Repository
from moorage.gc.offline.offline_run import LINKS_BATCH, OfflineRun, batched, digests_in
from moorage.gc.offline.reading import Content, Unreadable, links_at, payloads_of
from moorage.oci.digests import Digest, digest_or_none, linked_digest
from moorage.oci.mentions import Mentions
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.base import Capability
from moorage.storage.walk import pages_of

MARKED_REPOSITORIES = "mark: repositories"
"""A part of the work, for people."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A manifest that has a link."""

    digest: Digest
    payload: Content[Mentions]


@dataclass(slots=True)
class _Look:
    """One repository, and what was found there so far."""

    run: OfflineRun
    repository: Repository
    hides_something: bool = False
    """True if something that cannot be read may refer to anything in the repository."""
    hides_unseen: bool = False
    """True if that is so of something that storage did not give, and that may be whole."""
    is_repository: bool = False
    """True if there is a manifest or a tag: the folder may only hold others."""


async def mark_repository(run: OfflineRun, repository: Repository) -> None:
    """Look at all manifests of a repository."""
    name, look = repository.name, _Look(run, repository)
    async for entries in pages_of(run.storage, paths.tags(name)):
        look.is_repository = look.is_repository or bool(entries)
        for batch in batched(entries):
            await _mark_tagged(look, [Tag(entry.name) for entry in batch])
    async for digests in digests_in(run, paths.revisions(name)):
        look.is_repository = True
        await _mark_manifests(look, digests)
    run.totals.repositories += look.is_repository
    is_kept_whole = look.hides_unseen or (look.hides_something and not run.options.ignore_damaged)
    if is_kept_whole:
        run.totals.repositories_kept_whole += 1
        run.log.warning("repository kept whole: something in it cannot be read", repository=name.text)
        run.marks.keep_all(repository)
    if is_kept_whole:
        async for digests in digests_in(run, paths.layers(name), at_a_time=LINKS_BATCH):
            run.marks.mark(digests)
    elif run.has_grace:
        await _mark_young_layers(run, name)
    if run.options.delete_untagged:
        run.totals.manifests_to_delete += run.marks.settle(repository)
    run.reports.advanced(MARKED_REPOSITORIES)


async def _mark_tagged(look: _Look, tags: Sequence[Tag]) -> None:
    run, name = look.run, look.repository.name
    links = [paths.tag_link(name, tag) for tag in tags]
    targets: list[Digest] = []
    for tag, path, content in zip(tags, links, await links_at(run, links), strict=True):
        if content is None:
            continue  # Half written or half removed: there is no such tag.
        target = _target(run, path, content)
        targets += [target] if target is not None else await _ever_tagged(look, tag, content)
    if run.options.delete_untagged:
        run.marks.add_roots(look.repository, targets)
    else:
        run.marks.mark(targets)
    stats = await run.storage.stat_each([paths.blob(target) for target in targets])
    # What a tag points to and is not there may come back from a backup, with nothing but this to need its layers.
    look.hides_something = look.hides_something or None in stats
    await _follow(look, targets, must_be_there=True)


async def _ever_tagged(look: _Look, tag: Tag, content: bytes | Unreadable) -> list[Digest]:
    """Return the digests that a tag may point to whose link does not say it."""
    found: list[Digest] = []
    async for digests in digests_in(look.run, paths.tag_index(look.repository.name, tag)):
        found += digests
    if not found:
        look.hides_something = True
        look.hides_unseen = look.hides_unseen or _is_unseen(content)
    return found


async def _mark_manifests(look: _Look, digests: Sequence[Digest]) -> None:
    run, name = look.run, look.repository.name
    links = [paths.revision_link(name, digest) for digest in digests]
    contents = await links_at(run, links)
    payloads = await payloads_of(run, digests)
    found: list[_Found] = []
    elsewhere: list[tuple[Digest, Digest]] = []
    unclear: list[Digest] = []
    for digest, path, content, payload in zip(digests, links, contents, payloads, strict=True):
        if content is None:
            continue  # Distribution leaves the folder of a manifest that was deleted.
        found.append(_Found(digest, payload))
        target = _target(run, path, content)
        if target is None:
            unclear.append(digest)
        elif target != digest:
            _tell_invalid(run, path, "names another digest than its path")
            elsewhere.append((digest, target))
    await _mark_found(look, found)
    if run.options.delete_untagged:
        run.marks.add_roots(look.repository, unclear)
    await _mark_elsewhere(look, elsewhere)


async def _mark_found(look: _Look, found: Sequence[_Found]) -> None:
    run, repository = look.run, look.repository
    run.totals.manifests += len(found)
    for manifest in found:
        if manifest.payload is None:
            _tell_missing(look, manifest.digest)
        elif isinstance(manifest.payload, Unreadable):
            _tell_unreadable(look, manifest.digest, manifest.payload)
    _keep(look, found)
    if run.options.delete_untagged:
        run.marks.add_manifests(repository, (manifest.digest for manifest in found))
        roots = [manifest.digest for manifest in found if isinstance(manifest.payload, Unreadable)]
        if run.has_grace:
            stats = await run.storage.stat_each([paths.revision_link(repository.name, item.digest) for item in found])
            roots += [manifest.digest for manifest, stat in zip(found, stats, strict=True) if run.is_young(stat)]
        run.marks.add_roots(repository, roots)
    await _follow(look, _children(found))


async def _follow(look: _Look, digests: Iterable[Digest], *, must_be_there: bool = False) -> None:
    """Keep what manifests without a revision link need, and so on downwards: others are found by their link."""
    coming, seen = list(dict.fromkeys(digests)), set[Digest]()
    while coming:
        seen.update(coming)
        found: list[_Found] = []
        for batch in batched(coming):
            strays = await _without_link(look, batch)
            payloads = await payloads_of(look.run, strays)
            found += [_Found(digest, payload) for digest, payload in zip(strays, payloads, strict=True)]
        for stray in found:
            if isinstance(stray.payload, Unreadable) and (must_be_there or not stray.payload.is_whole):
                _tell_unreadable(look, stray.digest, stray.payload)
            elif stray.payload is None and must_be_there:
                _tell_missing(look, stray.digest)
        _keep(look, found)
        # An index may list what was never here: a child without a link is missed by nobody.
        must_be_there = False
        coming = [digest for digest in dict.fromkeys(_children(found)) if digest not in seen]


async def _without_link(look: _Look, digests: Sequence[Digest]) -> list[Digest]:
    stats = await look.run.storage.stat_each([paths.revision_link(look.repository.name, item) for item in digests])
    return [digest for digest, stat in zip(digests, stats, strict=True) if stat is None]


async def _mark_elsewhere(look: _Look, links: Sequence[tuple[Digest, Digest]]) -> None:
    """A link that names another digest makes Distribution serve that one: it stays as long as what its path says."""
    targets = [target for _, target in links]
    payloads = await payloads_of(look.run, targets)
    found = [_Found(target, payload) for target, payload in zip(targets, payloads, strict=True)]
    if look.run.options.delete_untagged:
        look.run.marks.add_edges(look.repository, links)
    _keep(look, found)
    await _follow(look, _children(found))


async def _mark_young_layers(run: OfflineRun, name: RepositoryName) -> None:
    """Mark blobs that were just uploaded or mounted: their manifest may be on its way."""
    if Capability.FLAT_LISTS in run.storage.capabilities:  # One request tells of a thousand links how old they are.
        async for page in run.storage.all_below(paths.layers(name)):
            found = [(digest_or_none(":".join(path.split("/")[-3:-1])), stat) for path, stat in page]
            run.marks.mark(digest for digest, stat in found if digest is not None and run.is_young(stat))
        return
    async for digests in digests_in(run, paths.layers(name), at_a_time=LINKS_BATCH):
        stats = await run.storage.stat_each([paths.layer_link(name, digest) for digest in digests])
        run.marks.mark(digest for digest, stat in zip(digests, stats, strict=True) if run.is_young(stat))


def _keep(look: _Look, found: Sequence[_Found]) -> None:
    if look.run.options.delete_untagged:
        look.run.marks.add_edges(look.repository, (edge for manifest in found for edge in _edges(manifest)))
    else:
        look.run.marks.mark(digest for manifest in found for digest in _kept_with(manifest))


def _children(found: Iterable[_Found]) -> Iterator[Digest]:
    for manifest in found:
        if isinstance(manifest.payload, Mentions):
            yield from manifest.payload.children


def _kept_with(manifest: _Found) -> Iterable[Digest]:
    yield manifest.digest
    if isinstance(manifest.payload, Mentions):
        yield from manifest.payload.references


def _edges(manifest: _Found) -> Iterator[tuple[Digest, Digest]]:
    if isinstance(manifest.payload, Mentions):
        yield from ((manifest.digest, target) for target in manifest.payload.references)
        if manifest.payload.subject is not None:
            yield manifest.payload.subject, manifest.digest


def _target(run: OfflineRun, path: str, content: bytes | Unreadable) -> Digest | None:
    """Return the digest that a link has; None if it has none that can be read, which is reported."""
    if isinstance(content, Unreadable):
        _tell_invalid(run, path, content.reason)
        return None
    target = linked_digest(content)
    if target is None:
        _tell_invalid(run, path, "is no digest" if content else "is empty")
    return target


def _is_unseen(content: bytes | Unreadable) -> bool:
    return isinstance(content, Unreadable) and content.is_unseen


def _tell_invalid(run: OfflineRun, path: str, reason: str) -> None:
    run.totals.links_invalid += 1
    run.log.warning("invalid link file", path=path, reason=reason)


def _tell_missing(look: _Look, digest: Digest) -> None:
    look.run.totals.manifests_missing += 1
    where = {"repository": look.repository.name.text, "digest": str(digest)}
    look.run.log.warning("manifest without its payload: nobody can pull it", **where)


def _tell_unreadable(look: _Look, digest: Digest, payload: Unreadable) -> None:
    look.hides_something = True
    look.hides_unseen = look.hides_unseen or _is_unseen(payload)
    look.run.totals.manifests_damaged += 1
    where = {"repository": look.repository.name.text, "digest": str(digest)}
    look.run.log.error("manifest cannot be read: nobody knows what it refers to", **where, reason=payload.reason)
