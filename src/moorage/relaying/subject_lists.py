"""Lists of referrers that a client keeps where the registry has none: an index under a tag made of the digest.

Source: distribution-spec § Pushing Manifests with Subject.
"""

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Sequence

from moorage.client.registry import CommandFailed
from moorage.oci import mediatypes
from moorage.oci.digests import Digest
from moorage.oci.manifests import Descriptor, Manifest, StoredManifest, decode
from moorage.oci.names import RepositoryName
from moorage.relaying.registry_side import RegistrySide, fallback_tag

_TRIES = 6
_PAUSE_S = 0.05
"""At most so long before the second try, and twice that before each next: others have their turn."""


class SubjectLists:
    """The lists on a target; each is changed by one at a time here, and looked at again for the sake of others."""

    def __init__(self, target: RegistrySide) -> None:
        self._target = target
        self._turns: defaultdict[tuple[RepositoryName, Digest], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def add(self, repository: RepositoryName, manifest: Manifest, stored: StoredManifest) -> None:
        """List a manifest under the one that it is about, if there is one.

        Another client may change the list at the same moment. A registry that knows conditions lets the list be changed
        only from what was read; with others the list is read again after it was written, and written anew if the entry
        is missing.

        Raises:
            CommandFailed: the target refused, or could not be asked; or others changed the list with each try.
        """
        if manifest.subject is None:
            return
        kind = stored.media_type or manifest.media_type
        entry = Descriptor(kind, stored.digest, len(stored.payload), manifest.artifact_type, manifest.annotations)
        subject = manifest.subject.digest
        async with self._turns[repository, subject]:
            await self._add(repository, subject, entry)

    async def _add(self, repository: RepositoryName, subject: Digest, entry: Descriptor) -> None:
        tag, is_refused = fallback_tag(subject), False
        last: StoredManifest | None = None
        for turn in range(_TRIES + 1):
            there = await self._target.manifest(repository, tag)
            entries = _entries(there, f"{repository}:{tag}")
            is_as_before = turn > 0 and there == last
            if _has(entries, entry.digest) or (is_as_before and not is_refused):
                return  # In the second case what is read is older than what the registry has accepted.
            if turn == _TRIES:
                break
            if turn > 0:
                await asyncio.sleep(random.uniform(0, _PAUSE_S * 2**turn))  # noqa: S311 - spreads, hides nothing
            made = _with(there, entries, entry)
            if is_as_before and turn == _TRIES - 1:
                # Refused though nothing has changed: it is not by the digest that this registry compares.
                is_refused = False
                await self._target.put_manifest(repository, tag, made)
            else:
                is_refused = not await self._target.put_over(repository, tag, made, seen=there)
            last = there
        msg = f"others change {repository}:{tag} all the time, so {entry.digest} is not listed there; copy again"
        raise CommandFailed(msg)


def _entries(there: StoredManifest | None, place: str) -> Sequence[object]:
    """The entries of a list as it is.

    Raises:
        CommandFailed: it is none.
    """
    if there is None:
        return ()
    entries = decode(there.payload).get("manifests") or []
    if there.media_type in mediatypes.IMAGES or not isinstance(entries, list):
        msg = f"{place} is not a list of referrers"
        raise CommandFailed(msg)
    return entries


def _has(entries: Sequence[object], digest: Digest) -> bool:
    return any(isinstance(one, dict) and one.get("digest") == str(digest) for one in entries)


def _with(there: StoredManifest | None, entries: Sequence[object], entry: Descriptor) -> StoredManifest:
    value = {} if there is None else decode(there.payload)
    whole = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, **value, "manifests": [*entries, entry.to_json()]}
    payload = json.dumps(whole).encode()
    return StoredManifest(Digest.of(payload), mediatypes.OCI_INDEX, payload)
