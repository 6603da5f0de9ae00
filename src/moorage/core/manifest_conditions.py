"""Conditions of requests on manifests and tags, looked at before anything is written.

What another request changes after the look is the store's: it gets what the tags have to point to, and sees to it in
the step of the write (``docs/adr/0190-conditions-on-every-write.md``).
"""

from collections.abc import Mapping, Sequence

from moorage.auth.protections import Protection
from moorage.errors import ConditionFailed, ManifestUnknown, NameUnknown, TagChanged
from moorage.metadata.base import ManifestStore
from moorage.oci.conditions import ALWAYS, Condition
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag


async def check_push(
    store: ManifestStore,
    name: RepositoryName,
    tags: Sequence[Tag],
    *,
    digest: Digest,
    condition: Condition,
    protection: Protection,
) -> Mapping[Tag, Digest | None]:
    """Return what tags have to point to at the moment of their write; None: they may not be there.

    Raises:
        Protected: an immutable tag is there.
        ConditionFailed: what is there now is not as *condition* says; without tags it is on the manifest *digest*.
    """
    expected: dict[Tag, Digest | None] = {}
    if condition is ALWAYS and not protection.immutable:
        return expected
    if not tags and condition is not ALWAYS and not condition.holds(digest if await store.has(name, digest) else None):
        raise _other(digest)
    for tag in tags:
        is_fixed = protection.fixes(tag) or condition.is_for_nothing
        if not is_fixed and condition is ALWAYS:
            continue
        target = await _target(store, name, tag)
        if is_fixed and target is not None:
            raise tag_there(tag, protection)
        if not condition.holds(target):
            raise _otherwise(tag, target)
        if is_fixed or condition.is_for_some:
            expected[tag] = target
    return expected


async def check_untag(store: ManifestStore, name: RepositoryName, tag: Tag, condition: Condition) -> Digest | None:
    """Return what the tag has to point to at the moment of its removal; None: that does not matter.

    Raises:
        TagChanged: what it points to now is not as *condition* says.
        ManifestUnknown, NameUnknown: it is not there now; one that is made in the next moment is not what was meant.
    """
    if condition is ALWAYS:
        return None
    target = (await store.find(name, tag)).digest
    if not condition.holds(target):
        raise _otherwise(tag, target)
    return target if condition.is_for_some else None


async def check_delete(store: ManifestStore, name: RepositoryName, digest: Digest, condition: Condition) -> None:
    """See that a manifest is what *condition* says.

    Raises:
        ConditionFailed: it is not.
        ManifestUnknown, NameUnknown: it would not be, and is not there now.
    """
    if not condition.holds(digest):
        await store.find(name, digest)
        raise _other(digest)


def tag_there(tag: Tag, protection: Protection) -> TagChanged:
    """Refuse a tag that is there and must not be: as immutable, if it is, else by what is returned.

    Raises:
        Protected: it is immutable.
    """
    protection.check_overwrite(tag)
    msg = f'the tag "{tag}" is there already, and the request is for a new one'
    return TagChanged(msg, tag=tag.text)


def _otherwise(tag: Tag, target: Digest | None) -> TagChanged:
    if target is None:
        msg = f'there is no tag "{tag}", and the request is for one that is there'
    else:
        msg = f'the tag "{tag}" points to {target}, and the request has a condition that rules this out'
    return TagChanged(msg, tag=tag.text)


def _other(digest: Digest) -> ConditionFailed:
    msg = "the request has a condition on the manifest that does not hold"
    return ConditionFailed(msg, digest=str(digest))


async def _target(store: ManifestStore, name: RepositoryName, tag: Tag) -> Digest | None:
    try:
        return (await store.find(name, tag)).digest
    except (ManifestUnknown, NameUnknown):
        return None
