"""Calls of ``/v2/``, which every registry has.

Source: distribution-spec; GitLab features RCL-003 to RCL-005, RCL-009, TDL-004.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus

from moorage.auth.claims import AccessClaim
from moorage.control.registry import internal_access as access
from moorage.control.registry import reading_answers as reading
from moorage.control.registry.registry_errors import RegistryNonsense, RegistryRefused, RegistryUnknown, TooManyPages
from moorage.control.registry.registry_values import RegistryInfo, RemoteManifest, RemoteTag
from moorage.control.registry.transport import RegistryTransport
from moorage.json_nesting import parse_json
from moorage.oci import mediatypes
from moorage.oci.digests import Digest, digest_or_none

PAGE_SIZE = 1000
"""Distribution 3 refuses more."""
PAGES_LIMIT = 2000

ACCEPT = f"{mediatypes.DOCKER_MANIFEST}, {mediatypes.OCI_MANIFEST}, {mediatypes.DOCKER_LIST}, {mediatypes.OCI_INDEX}"

_ACCEPT = {"Accept": ACCEPT}
_VERSION = "Gitlab-Container-Registry-Version"
_FEATURES = "Gitlab-Container-Registry-Features"
_DATABASE = "Gitlab-Container-Registry-Database-Enabled"
_TAG_DELETES_UNKNOWN = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
)


def show_registry(transport: RegistryTransport) -> RegistryInfo:
    """Return the registry's vendor, version and features, without what only GitLab's API tells.

    Raises:
        RegistryRefused: there is no registry at this address.
    """
    answer = transport.send("GET", "/v2/", access=access.nothing())
    if not answer.is_good and answer.status != HTTPStatus.UNAUTHORIZED:
        raise answer.error()
    version = answer.headers.get(_VERSION, "")
    features = [word.strip() for word in answer.headers.get(_FEATURES, "").split(",")]
    return RegistryInfo(
        vendor="gitlab" if version else "other",
        version=version,
        features=tuple(word for word in features if word),
        is_database_enabled=answer.headers.get(_DATABASE, "") == "true",
        token_refusal=str(answer.error()) if answer.status == HTTPStatus.UNAUTHORIZED else "",
    )


def list_tag_names(transport: RegistryTransport, path: str) -> Iterator[str]:
    """Yield the names of all tags, sorted, page by page; a repository that is not known has none.

    Raises:
        TooManyPages: there is no end.
    """
    try:
        for page in _pages(transport, f"/v2/{path}/tags/list", access.pulling(path), f"tags of {path}"):
            # Registries need not sort, but their pages follow each other.
            yield from sorted(reading.words(page.get("tags")))
    except RegistryUnknown:
        return


def list_catalogue(transport: RegistryTransport) -> Iterator[str]:
    """Yield the names of all repositories, sorted, page by page.

    Raises:
        TooManyPages: there is no end.
    """
    for page in _pages(transport, "/v2/_catalog", access.catalogue(), "repositories"):
        yield from reading.words(page.get("repositories"))


def _pages(
    transport: RegistryTransport, target: str, claims: Sequence[AccessClaim], what: str
) -> Iterator[reading.Fields]:
    """Yield the pages of a list, each the JSON object that it is; *what* is listed is for the message."""
    last = ""
    for _ in range(PAGES_LIMIT):
        query = {"n": str(PAGE_SIZE), "last": last}
        answer = transport.ask("GET", target, access=claims, query=query)
        yield reading.fields(answer.json())
        before, last = last, answer.marker("next", "last")
        if not last:
            return
        if last == before:
            break
    msg = f"the list of {what} does not end"
    raise TooManyPages(msg)


def show_manifest(transport: RegistryTransport, path: str, reference: str) -> RemoteManifest | None:
    """Return a manifest by tag or digest; None: there is none.

    Raises:
        RegistryNonsense: it is not what its digest says.
    """
    try:
        answer = transport.ask("GET", f"/v2/{path}/manifests/{reference}", access=access.pulling(path), headers=_ACCEPT)
    except RegistryUnknown:
        return None
    said = digest_or_none(answer.headers.get("Docker-Content-Digest"))
    digest = Digest.of(answer.body, said.algorithm if said is not None else "sha256")
    wanted = digest_or_none(reference) or said
    if wanted is not None and wanted != digest:
        msg = f"the manifest {reference} of {path} is not what its digest says"
        raise RegistryNonsense(msg)
    media_type = mediatypes.without_parameters(answer.headers.get("Content-Type", ""))
    return RemoteManifest(digest=str(digest), media_type=media_type, payload=answer.body)


def show_digest(transport: RegistryTransport, path: str, tag: str) -> str:
    """Return the digest that a tag points to at this moment; empty: there is no such tag."""
    try:
        answer = transport.ask("HEAD", f"/v2/{path}/manifests/{tag}", access=access.pulling(path), headers=_ACCEPT)
    except RegistryUnknown:
        return ""
    found = digest_or_none(answer.headers.get("Docker-Content-Digest"))
    if found is not None:
        return str(found)
    manifest = show_manifest(transport, path, tag)  # The header is not a must.
    return "" if manifest is None else manifest.digest


def push_manifest(
    transport: RegistryTransport, path: str, manifest: RemoteManifest, tag: str, *, is_new: bool = False
) -> None:
    """Point a tag at a manifest.

    Raises:
        RegistryTagChanged: it has to be new, and is there; only Moorage's own registry looks.
    """
    condition = {"If-None-Match": "*"} if is_new else {}
    transport.ask(
        "PUT",
        f"/v2/{path}/manifests/{tag}",
        access=access.whole(path),
        headers={"Content-Type": manifest.media_type, **condition},
        content=manifest.payload,
    )


def show_blob(transport: RegistryTransport, path: str, digest: str) -> bytes | None:
    """Return a small blob, such as an image's configuration; None: there is none.

    Raises:
        RegistryNonsense: it is larger than an answer may be, or not what its digest says.
    """
    try:
        answer = transport.fetch(f"/v2/{path}/blobs/{digest}", access=access.pulling(path))
    except RegistryUnknown:
        return None
    wanted = digest_or_none(digest)
    if wanted is None or Digest.of(answer.body, wanted.algorithm) != wanted:
        msg = f"the blob {digest} of {path} is not what its digest says"
        raise RegistryNonsense(msg)
    return answer.body


def has_blob(transport: RegistryTransport, path: str, digest: str) -> bool:
    """Return whether a repository has a blob."""
    return _knows(transport, "HEAD", f"/v2/{path}/blobs/{digest}", access.pulling(path))


def show_tag(transport: RegistryTransport, path: str, tag: str) -> RemoteTag | None:
    """Return a tag by reading its manifest, and the configuration of its image; None: there is no such tag."""
    manifest = show_manifest(transport, path, tag)
    if manifest is None:
        return None
    found = RemoteTag(name=tag, digest=manifest.digest, media_type=manifest.media_type)
    try:
        value = reading.fields(parse_json(manifest.payload))
    except (ValueError, RegistryNonsense):
        return found
    config = value.get("config")
    if not isinstance(config, dict):
        return found
    sizes = [reading.number(layer, "size") or 0 for layer in reading.objects(value.get("layers"))]
    found = replace(found, config_digest=reading.text(config, "digest"), size_bytes=sum(sizes))
    return replace(found, created_at=_built_at(transport, path, found.config_digest))


def can_delete_tag(transport: RegistryTransport, path: str, tag: str) -> bool:
    """Return whether the registry says that it deletes tags. Source: GitLab features RCL-003."""
    answer = transport.send("OPTIONS", f"/v2/{path}/manifests/{tag}", access=access.whole(path))
    allowed = [word.strip().upper() for word in answer.headers.get("Allow", "").split(",")]
    return answer.status == HTTPStatus.OK and "DELETE" in allowed


def delete_tag(transport: RegistryTransport, path: str, tag: str, *, seen: str = "") -> bool:
    """Delete a tag by its name, and nothing else; False: there was none.

    *seen*: the digest that it has to point to; empty: any. Only Moorage's own registry looks.

    Raises:
        RegistryTagChanged: it points elsewhere.
        RegistryRefused: the registry does not do it.
    """
    condition = {"If-Match": f'"{seen}"'} if seen else {}
    return _knows(transport, "DELETE", f"/v2/{path}/manifests/{tag}", access.whole(path), headers=condition)


def delete_manifest(transport: RegistryTransport, path: str, digest: str) -> bool:
    """Delete a manifest, and with it all tags that point to it; False: there was none."""
    return _knows(transport, "DELETE", f"/v2/{path}/manifests/{digest}", access.whole(path))


def replace_and_delete(transport: RegistryTransport, path: str, tag: str, *, seen: str) -> None:
    """Delete a tag of a registry that deletes only manifests: point it at an empty image, and delete that.

    What the tag pointed to stays, and so do other tags of it. *seen*: the digest that it has to point to.

    Raises:
        RegistryTagChanged: it points elsewhere; only a registry that knows conditions looks.
        RegistryRefused: it does not delete manifests either; the tags are as they were.

    Source: GitLab features TDL-004.
    """
    config = b"{}"
    # Asked before anything is overwritten: a registry may be set up to delete nothing.
    delete_manifest(transport, path, str(Digest.of(b"of nothing")))
    _push_blob(transport, path, config)
    payload = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": mediatypes.DOCKER_MANIFEST,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "digest": str(Digest.of(config)),
                "size": len(config),
            },
            "layers": [],
            # So that no image of anybody's is the same, which would be deleted with it.
            "annotations": {"io.moorage.deleted": path},
        }
    ).encode()
    transport.ask(
        "PUT",
        f"/v2/{path}/manifests/{tag}",
        access=access.whole(path),
        headers={"Content-Type": mediatypes.DOCKER_MANIFEST, "If-Match": f'"{seen}"'},
        content=payload,
    )
    delete_manifest(transport, path, str(Digest.of(payload)))


def deletes_no_tags(error: RegistryRefused) -> bool:
    """Return whether the registry's error means that it deletes manifests only."""
    return error.status in _TAG_DELETES_UNKNOWN


def _knows(
    transport: RegistryTransport,
    method: str,
    place: str,
    wanted: Sequence[AccessClaim],
    *,
    headers: Mapping[str, str] | None = None,
) -> bool:
    """False if the registry says that there is nothing at *place*."""
    try:
        transport.ask(method, place, access=wanted, headers=headers or {})
    except RegistryUnknown:
        return False
    return True


def _push_blob(transport: RegistryTransport, path: str, content: bytes) -> None:
    wanted = access.whole(path)
    started = transport.ask("POST", f"/v2/{path}/blobs/uploads/", access=wanted)
    location = transport.local_path(started.headers.get("Location", ""))
    mark = "&" if "?" in location else "?"
    transport.ask(
        "PUT",
        f"{location}{mark}digest={Digest.of(content)}",
        access=wanted,
        headers={"Content-Type": mediatypes.UNKNOWN},
        content=content,
    )


def _built_at(transport: RegistryTransport, path: str, digest: str) -> datetime | None:
    blob = show_blob(transport, path, digest) if digest_or_none(digest) is not None else None
    try:
        return reading.moment(reading.fields(parse_json(blob or b"{}")), "created")
    except (ValueError, RegistryNonsense):
        return None
