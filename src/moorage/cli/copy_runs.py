"""Runs of ``moorage copy``."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from moorage.cli.amounts import counted
from moorage.cli.bars import Bars
from moorage.cli.reaching import credentials_for, usual_registry
from moorage.cli.relay_output import run_shown
from moorage.client.places import ImagePlace, found_place, read_place
from moorage.client.registry import CommandFailed
from moorage.client.tls import trusting
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.relaying.blob_copies import RepositoryPair
from moorage.relaying.image_copies import ImageWish
from moorage.relaying.platforms import WantedPlatform
from moorage.relaying.registry_access import RegistryAccess
from moorage.relaying.relay_outcome import RelayOutcome
from moorage.relaying.relay_run import relay_run
from moorage.relaying.tag_choice import TagChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyWords:
    """The command line of a copy, as it was typed."""

    source: str
    target: str
    all_tags: bool
    tags: Sequence[str]
    exclude: Sequence[str]
    platform: str | None
    with_referrers: bool
    overwrites: bool
    jobs: int
    bytes_per_s: float | None
    source_ca: str | None
    target_ca: str | None
    dry_run: bool


def run(words: CopyWords, *, as_json: bool) -> int:
    """Copy, print what became of it, and return the status."""
    return run_shown(partial(_copied, words), dry_run=words.dry_run, as_json=as_json)


async def _copied(words: CopyWords, outcome: RelayOutcome, bars: Bars) -> None:
    source, target = _place(words.source), _place(words.target)
    is_many = words.all_tags or bool(words.tags) or bool(words.exclude)
    _see_that_it_makes_sense(source, target, is_many=is_many)
    wish = ImageWish(
        platform=WantedPlatform.parse(words.platform) if words.platform else None,
        with_referrers=words.with_referrers,
        overwrites=words.overwrites,
        dry_run=words.dry_run,
        jobs=words.jobs,
    )
    pair = RepositoryPair(RepositoryName.parse_stored(source.repository), RepositoryName.parse(target.repository))
    from_access = _access(source, words.source_ca, "--source-ca", words.bytes_per_s)
    to_access = _access(target, words.target_ca, "--target-ca", None)
    async with relay_run(from_access, to_access, wish, outcome, reports=bars) as copies:
        if is_many:
            choice = TagChoice(globs=tuple(words.tags), excluded=tuple(words.exclude))
            tags = await copies.copy_tags(pair, choice)
            if words.tags and not choice.means_any(tags):
                msg = f"--tags and --exclude leave none of the {counted(len(tags), 'tag')} of {pair.source}"
                raise CommandFailed(msg)
        else:
            await copies.copy_one(pair, *_references(source, target))


def _place(text: str) -> ImagePlace:
    found = read_place(text)
    if not found.repository:
        msg = f"{text} names no repository; give [HOST/]REPO[:TAG]"
        raise CommandFailed(msg)
    place = found if found.url else ImagePlace(usual_registry(), found.repository, found.tag, found.digest)
    return found_place(place)


def _see_that_it_makes_sense(source: ImagePlace, target: ImagePlace, *, is_many: bool) -> None:
    if target.digest:
        msg = "the target has a digest; an image keeps the one that it has, so give a tag or none"
        raise CommandFailed(msg)
    if is_many and (source.tag or source.digest or target.tag):
        msg = "--all-tags, --tags and --exclude choose among all tags of a repository: give no tag and no digest"
        raise CommandFailed(msg)


def _references(source: ImagePlace, target: ImagePlace) -> tuple[Tag | Digest, Tag | None]:
    """The reference of the source, and the tag of the target."""
    tag = Tag.parse(target.tag) if target.tag else None
    if source.digest:
        return Digest.parse(source.digest), tag or (Tag.parse(source.tag) if source.tag else None)
    named = Tag.parse_stored(source.tag or "latest")
    return named, tag or named


def _access(place: ImagePlace, ca: str | None, option: str, bytes_per_s: float | None) -> RegistryAccess:
    context = trusting(str(Path(ca)), option) if ca else None
    return RegistryAccess(
        url=place.url, credentials=credentials_for(place.url), context=context, bytes_per_s=bytes_per_s
    )
