"""One side of a copy between registries: what a registry has, by the requests that every registry answers."""

import re
import urllib.parse
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from moorage.client.contents import PagedNames, names_in
from moorage.client.registry import CommandFailed
from moorage.client.streaming import StreamedAnswer, StreamedCall, StreamingRemote, joined_url
from moorage.errors import ManifestInvalid
from moorage.oci import mediatypes
from moorage.oci.digests import Digest, digest_or_none
from moorage.oci.manifests import SIZE_LIMIT_BYTES, Descriptor, StoredManifest, parse
from moorage.oci.names import Reference, RepositoryName, Tag

MANIFEST_TYPES = ", ".join(
    (*sorted(mediatypes.INDEXES), *sorted(mediatypes.IMAGES), *sorted(mediatypes.SCHEMA1), "*/*;q=0.1")
)
_NEXT = re.compile(r"<([^>]+)>\s*;\s*rel=\"?next\"?")
_FALLBACK_DIGITS = 64
_CANNOT = frozenset({400, 405, 501})
_FORBIDDEN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_PAGES_LIMIT = 100_000
_NO_REFERRERS_API = frozenset({400, 404, 405, 501})
"""Answers of registries that do not know the path."""


class PresentManifest(NamedTuple):
    """A manifest that is there; its bytes were not asked for."""

    digest: Digest
    media_type: str


@dataclass(frozen=True, slots=True)
class RegistrySide:
    """A registry that is copied from or to."""

    remote: StreamingRemote

    def url(self, repository: RepositoryName, rest: str) -> str:
        """Return the URL of something in a repository."""
        return f"{self.remote.url}/v2/{urllib.parse.quote(repository.text)}/{rest}"

    async def find(self, repository: RepositoryName, reference: Reference) -> PresentManifest | None:
        """Return what a tag or a digest points at; None: it is not there.

        Raises:
            CommandFailed: the registry refused, or could not be asked.
        """
        answer = await self._manifest_answer("HEAD", repository, reference)
        if answer is None:
            return None
        found = reference if isinstance(reference, Digest) else _said_digest(answer)
        if found is None:
            stored = await self.manifest(repository, reference)
            return None if stored is None else PresentManifest(stored.digest, stored.media_type)
        return PresentManifest(found, _media_type(answer))

    async def manifest(self, repository: RepositoryName, reference: Reference) -> StoredManifest | None:
        """Return a manifest, its bytes checked against its digest; None: it is not there.

        Raises:
            CommandFailed: the registry refused, could not be asked, or its bytes have another digest.
        """
        answer = await self._manifest_answer("GET", repository, reference)
        if answer is None:
            return None
        said = reference if isinstance(reference, Digest) else _said_digest(answer)
        digest = Digest.of(answer.body, said.algorithm if said else "sha256")
        if said not in (None, digest):
            msg = f"{self.remote.host} gives a manifest whose bytes have the digest {digest} for {said}"
            raise CommandFailed(msg)
        if len(answer.body) > SIZE_LIMIT_BYTES:
            msg = f"the manifest has more than {SIZE_LIMIT_BYTES:,} bytes"
            raise CommandFailed(msg)
        return StoredManifest(digest, _media_type(answer), answer.body)

    async def put_manifest(self, repository: RepositoryName, reference: Reference, manifest: StoredManifest) -> bool:
        """Store a manifest, and return whether the registry says that it has noted what it is about.

        Raises:
            CommandFailed: the registry refused, or could not be asked.
        """
        answer = await self._put(repository, reference, manifest)
        self._see_that_it_is_stored(answer, manifest)
        return "OCI-Subject" in answer.headers

    async def put_new_tag(self, repository: RepositoryName, tag: Tag, manifest: StoredManifest) -> bool:
        """Store a manifest under a tag that is not there; False: there is one by now, and it stays as it is.

        A registry that knows no conditions is looked at a moment before.

        Raises:
            CommandFailed: the registry refused, or could not be asked.
        """
        return await self.find(repository, tag) is None and await self.put_over(repository, tag, manifest, seen=None)

    async def put_over(
        self, repository: RepositoryName, tag: Tag, manifest: StoredManifest, *, seen: StoredManifest | None
    ) -> bool:
        """Store a manifest under a tag that points to *seen*, or that is not there (None); False: that is so no longer.

        A registry that knows no conditions stores it in any case.

        Raises:
            CommandFailed: the registry refused, or could not be asked.
        """
        condition = {"If-None-Match": "*"} if seen is None else {"If-Match": f'"{seen.digest}"'}
        answer = await self._put(repository, tag, manifest, **condition)
        if answer.status == HTTPStatus.PRECONDITION_FAILED:
            return False
        self._see_that_it_is_stored(answer, manifest)
        return True

    async def referrers(
        self, repository: RepositoryName, digest: Digest, tags: Collection[Tag] | None = None
    ) -> Sequence[Descriptor]:
        """Return the manifests that are about another one, by the API or by the tag that stands in for it.

        *tags* are those of the repository, if they are known: then the tag is only asked for if it is there.

        Raises:
            CommandFailed: the registry refused, or could not be asked.
        """
        url: str | None = self.url(repository, f"referrers/{digest}")
        found: list[Descriptor] = []
        for _ in range(_PAGES_LIMIT):
            if url is None:
                break
            answer = await self._ask("GET", url, repository, Accept=mediatypes.OCI_INDEX)
            if answer.status in _NO_REFERRERS_API:
                stored = None
                if tags is None or fallback_tag(digest) in tags:
                    stored = await self.manifest(repository, fallback_tag(digest))
                return _entries(stored.payload) if stored else ()
            if answer.status != HTTPStatus.OK:
                raise self.remote.refused(answer)
            found += _entries(answer.body)
            url = self._next_page(answer)
        return found

    async def delete_tag(self, repository: RepositoryName, tag: Tag) -> None:
        """Take a tag away; one that is not there is none.

        Raises:
            CommandFailed: the registry refused, or could not be asked.
        """
        answer = await self._ask("DELETE", self._manifest_url(repository, tag), repository)
        if answer.status in _CANNOT:
            msg = f"{self.remote.host} cannot delete single tags (it said {answer.status})"
            raise CommandFailed(msg, code=answer.status)
        if answer.status not in (HTTPStatus.ACCEPTED, HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND):
            raise self.remote.refused(answer)

    async def has_blob(self, repository: RepositoryName, digest: Digest) -> bool:
        """Return whether a blob is there.

        Raises:
            CommandFailed: the registry refused, or could not be asked.
        """
        answer = await self._ask("HEAD", self.url(repository, f"blobs/{digest}"), repository)
        if answer.status == HTTPStatus.NOT_FOUND:
            return False
        if answer.status != HTTPStatus.OK:
            raise self.remote.refused(answer)
        return True

    async def tags(self, repository: RepositoryName) -> Sequence[Tag]:
        """Return all tags, sorted.

        Raises:
            CommandFailed: there is no such repository, the registry refused, or could not be asked.
        """
        url = self.url(repository, "tags/list?n=1000")
        names = {name async for name in self._names(url, "tags", repository.text)}
        return sorted(Tag.parse_stored(name) for name in names)

    async def repositories(self) -> Sequence[RepositoryName]:
        """Return all repositories of the registry, sorted.

        Raises:
            CommandFailed: the registry refused, or could not be asked.
        """
        url = f"{self.remote.url}/v2/_catalog?n=1000"
        names = {name async for name in self._names(url, "repositories", "")}
        return sorted(RepositoryName.parse_stored(name) for name in names)

    async def _names(self, url: str, member: str, repository: str) -> AsyncIterator[str]:
        seen: set[str] = set()
        found = PagedNames(self.remote.url)
        while url not in seen:
            seen.add(url)
            call = StreamedCall(method="GET", url=url, repository=repository, headers={"Accept": "application/json"})
            answer = await self.remote.ask(call)
            if answer.status != HTTPStatus.OK:
                raise self.remote.refused(answer)
            for name in found.of_page(names_in(answer.body, answer.url, member)):
                yield name
            following = self._next_page(answer)
            if following is None:
                return
            url = following

    def _next_page(self, answer: StreamedAnswer) -> str | None:
        following = _NEXT.search(answer.headers.get("Link", ""))
        if following is None:
            return None
        # Only a path: nobody is led to another host.
        found = urllib.parse.urlsplit(joined_url(answer.url, following[1]))
        return f"{self.remote.url}/v2/{found.path.partition('/v2/')[2]}?{found.query}"

    async def _manifest_answer(
        self, method: str, repository: RepositoryName, reference: Reference
    ) -> StreamedAnswer | None:
        url = self._manifest_url(repository, reference)
        answer = await self._ask(method, url, repository, Accept=MANIFEST_TYPES)
        if method == "HEAD" and answer.status in _FORBIDDEN:  # Without a body it does not say why.
            answer = await self._ask("GET", url, repository, Accept=MANIFEST_TYPES)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if answer.status != HTTPStatus.OK:
            raise self.remote.refused(answer)
        return answer

    async def _put(
        self,
        repository: RepositoryName,
        reference: Reference,
        manifest: StoredManifest,
        **conditions: str,
    ) -> StreamedAnswer:
        headers = {"Content-Type": manifest.media_type} if manifest.media_type else {}
        call = StreamedCall(
            method="PUT",
            url=self._manifest_url(repository, reference),
            repository=repository.text,
            headers={**headers, **conditions},
            body=manifest.payload,
        )
        return await self.remote.ask(call)

    def _see_that_it_is_stored(self, answer: StreamedAnswer, manifest: StoredManifest) -> None:
        if answer.status not in (HTTPStatus.CREATED, HTTPStatus.OK, HTTPStatus.ACCEPTED):
            raise self.remote.refused(answer)
        said = _said_digest(answer)
        if said is not None and said.algorithm == manifest.digest.algorithm and said != manifest.digest:
            msg = f"{self.remote.host} has stored the manifest {manifest.digest} as {said}"
            raise CommandFailed(msg)

    async def _ask(self, method: str, url: str, repository: RepositoryName, **headers: str) -> StreamedAnswer:
        return await self.remote.ask(StreamedCall(method=method, url=url, repository=repository.text, headers=headers))

    def _manifest_url(self, repository: RepositoryName, reference: Reference) -> str:
        return self.url(repository, f"manifests/{urllib.parse.quote(str(reference), safe=':')}")


class RelayEnds(NamedTuple):
    """The two registries of a copy."""

    source: RegistrySide
    target: RegistrySide


def fallback_tag(digest: Digest) -> Tag:
    """Return the tag that stands in for the list of referrers where a registry has none.

    Source: distribution-spec § Unavailable Referrers API.
    """
    return Tag(f"{digest.algorithm}-{digest.encoded[:_FALLBACK_DIGITS]}")


def _entries(payload: bytes) -> Sequence[Descriptor]:
    """The entries of an index; what is none says nothing about referrers."""
    try:
        return tuple(parse(payload, mediatypes.OCI_INDEX).children)
    except ManifestInvalid:
        return ()


def _media_type(answer: StreamedAnswer) -> str:
    return mediatypes.without_parameters(answer.headers.get("Content-Type", ""))


def _said_digest(answer: StreamedAnswer) -> Digest | None:
    return digest_or_none(answer.headers.get("Docker-Content-Digest"))
