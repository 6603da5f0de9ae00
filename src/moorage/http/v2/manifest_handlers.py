"""Manifests: end-3, end-7 and end-9."""

from functools import partial

from moorage.core.manifest_rules import parse_tags
from moorage.core.manifests import Manifests
from moorage.errors import ConditionFailed, ManifestUnknown, NameUnknown
from moorage.http.call import Call
from moorage.oci.mediatypes import served_as, without_parameters
from moorage.oci.names import Tag, parse_reference, parse_stored_reference
from moorage.web.bodies import Bodies
from moorage.web.headers import Accepted, condition_of, is_other, matches_etag
from moorage.web.responses import Response


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
        if is_other(headers.getall("If-Match", ()), digest):
            msg = "the manifest here has another digest than If-Match names"
            raise ConditionFailed(msg, digest=digest)
        shown = {"Docker-Content-Digest": digest, "ETag": f'"{digest}"', "Content-Type": served_as(stored.media_type)}
        if matches_etag(headers.getall("If-None-Match", ()), digest):
            return Response(304, shown)
        if call.announcer:  # Also of HEAD, as in GitLab's registry and Distribution.
            tag = reference.text if isinstance(reference, Tag) else None
            call.announcer.tell(call.announcer.manifest_pulled(call.name, stored, tag))
        if call.request.method == "GET":
            self._manifests.note_pull(call.name, reference, stored.digest)
        return Response(200, shown, stored.payload)

    async def put(self, call: Call) -> Response:
        """Store a manifest, and tag it (end-7a, end-7b); with ``If-Match`` only if its tags are as they were seen.

        With ``If-None-Match: *`` only if there are no such tags.
        """
        reference, headers = parse_reference(call.target), call.request.headers
        tags = () if isinstance(reference, Tag) else parse_tags(call.query.all("tag"))
        pushed = await self._manifests.receive(
            call.name,
            reference,
            partial(self._bodies.whole, call.request),
            content_type=without_parameters(call.headers.get("Content-Type", "")),
            grant=call.grant,
            cause=call.cause,
            tags=tags,
            condition=condition_of(headers.getall("If-Match", ()), headers.getall("If-None-Match", ())),
        )
        shown = {"Location": call.manifest_url(pushed.digest), "Docker-Content-Digest": str(pushed.digest)}
        if pushed.subject is not None:
            shown["OCI-Subject"] = str(pushed.subject)
        if tags:
            shown["OCI-Tag"] = ", ".join(dict.fromkeys(tag.text for tag in tags))
        return Response(201, shown)

    async def delete(self, call: Call) -> Response:
        """Remove a tag, or a manifest with its tags (end-9); with ``If-Match`` only a tag that points there."""
        reference, headers = parse_stored_reference(call.target), call.request.headers
        condition = condition_of(headers.getall("If-Match", ()), headers.getall("If-None-Match", ()))
        try:
            await self._manifests.delete(call.name, reference, grant=call.grant, cause=call.cause, condition=condition)
        except (ManifestUnknown, NameUnknown):
            parse_reference(call.target)
            raise
        return Response(202)
