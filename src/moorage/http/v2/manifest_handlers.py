"""Manifests: end-3, end-7 and end-9."""

from moorage.core.manifests import Manifests
from moorage.errors import ManifestUnknown, NameUnknown, TooManyTags
from moorage.http.call import Call
from moorage.oci.mediatypes import served_as, without_parameters
from moorage.oci.names import Tag, parse_reference, parse_stored_reference
from moorage.web.bodies import Bodies
from moorage.web.headers import Accepted, matches_etag
from moorage.web.responses import Response

TAG_LIMIT = 100
"""Tags that one push by digest may carry. Source: distribution-spec § Pushing Manifests ("at least 10")."""


class ManifestHandlers:
    """``/v2/<name>/manifests/<reference>``."""

    def __init__(self, manifests: Manifests, bodies: Bodies) -> None:
        self._manifests = manifests
        self._bodies = bodies

    async def get(self, call: Call) -> Response:
        """The manifest as it was pushed; HEAD the same without the body (end-3)."""
        headers = call.request.headers
        reference = parse_stored_reference(call.target)
        accepts = Accepted.parse(headers.getall("Accept", ()))
        promises = call.request.method == "HEAD"
        try:
            stored = await self._manifests.get(call.name, reference, accepts=accepts, promises=promises)
        except (ManifestUnknown, NameUnknown):
            parse_reference(call.target)  # A tag that nobody could have pushed here is told as such.
            raise
        digest = str(stored.digest)
        shown = {"Docker-Content-Digest": digest, "ETag": f'"{digest}"', "Content-Type": served_as(stored.media_type)}
        if matches_etag(headers.getall("If-None-Match", ()), digest):
            return Response(304, shown)
        if call.request.method == "GET":
            self._manifests.note_pull(call.name, reference, stored.digest)
        return Response(200, shown, stored.payload)

    async def put(self, call: Call) -> Response:
        """Store a manifest, and tag it (end-7a, end-7b)."""
        reference = parse_reference(call.target)
        tags = [Tag.parse(text) for text in _tag_parameters(call)] if not isinstance(reference, Tag) else []
        protection = call.grant.protection(call.name)
        for tag in [reference] if isinstance(reference, Tag) else tags:
            protection.check_push(tag)
        check_size = self._manifests.check_size
        check_size(call.request.content_length or 0)
        payload = await self._bodies.whole(call.request, check_size=check_size)
        content_type = without_parameters(call.headers.get("Content-Type", ""))
        pushed = await self._manifests.put(
            call.name,
            reference,
            payload,
            content_type=content_type,
            tags=tags,
            cause=call.cause,
            protection=protection,
        )
        headers = {"Location": call.manifest_url(pushed.digest), "Docker-Content-Digest": str(pushed.digest)}
        if pushed.subject is not None:
            headers["OCI-Subject"] = str(pushed.subject)
        if tags:
            headers["OCI-Tag"] = ", ".join(dict.fromkeys(tag.text for tag in tags))
        return Response(201, headers)

    async def delete(self, call: Call) -> Response:
        """Remove a tag, or a manifest with its tags (end-9)."""
        reference, protection = parse_stored_reference(call.target), call.grant.protection(call.name)
        if isinstance(reference, Tag):
            protection.check_delete(reference)
        else:
            protection.check_content()  # Its tags go with it.
        try:
            await self._manifests.delete(call.name, reference, cause=call.cause)
        except (ManifestUnknown, NameUnknown):
            parse_reference(call.target)
            raise
        return Response(202)


def _tag_parameters(call: Call) -> list[str]:
    texts = list(call.query.all("tag"))
    if len(texts) > TAG_LIMIT:
        msg = f"a push takes at most {TAG_LIMIT} tags"
        raise TooManyTags(msg, tags=len(texts), limit=TAG_LIMIT)
    return texts
