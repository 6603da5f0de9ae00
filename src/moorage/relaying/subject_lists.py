"""Lists of referrers that a client keeps where the registry has none: an index under a tag made of the digest.

Source: distribution-spec § Pushing Manifests with Subject.
"""

import asyncio
import json
from collections import defaultdict

from moorage.client.registry import CommandFailed
from moorage.oci import mediatypes
from moorage.oci.digests import Digest
from moorage.oci.manifests import Descriptor, Manifest, StoredManifest, decode
from moorage.oci.names import RepositoryName
from moorage.relaying.registry_side import RegistrySide, fallback_tag


class SubjectLists:
    """The lists on a target; each is changed by one at a time."""

    def __init__(self, target: RegistrySide) -> None:
        self._target = target
        self._turns: defaultdict[tuple[RepositoryName, Digest], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def add(self, repository: RepositoryName, manifest: Manifest, stored: StoredManifest) -> None:
        """List a manifest under the one that it is about, if there is one.

        Raises:
            CommandFailed: the target refused, or could not be asked.
        """
        if manifest.subject is None:
            return
        subject = manifest.subject.digest
        key = (repository, subject)
        async with self._turns[key]:
            there = await self._target.manifest(repository, fallback_tag(subject))
            value = decode(there.payload) if there else {}
            entries = value.get("manifests") or []
            if not isinstance(entries, list):
                msg = f"{repository}:{fallback_tag(subject)} is not a list of referrers"
                raise CommandFailed(msg)
            if any(isinstance(entry, dict) and entry.get("digest") == str(stored.digest) for entry in entries):
                return
            kind = stored.media_type or manifest.media_type
            entry = Descriptor(
                kind, stored.digest, len(stored.payload), manifest.artifact_type, manifest.annotations
            ).to_json()
            whole = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, **value, "manifests": [*entries, entry]}
            payload = json.dumps(whole).encode()
            made = StoredManifest(Digest.of(payload), mediatypes.OCI_INDEX, payload)
            await self._target.put_manifest(repository, fallback_tag(subject), made)
