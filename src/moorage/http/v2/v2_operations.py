"""The table of operations of the specification's API, ``/v2/``."""

from collections.abc import Sequence

from moorage.auth.access import Access, Action
from moorage.errors import NameInvalid
from moorage.http import rights
from moorage.http.call import Call
from moorage.http.operations import READING, Api, Operation
from moorage.http.v2 import v2_routes as routes
from moorage.http.v2.blob_handlers import BlobHandlers
from moorage.http.v2.list_handlers import ListingHandlers
from moorage.http.v2.manifest_handlers import ManifestHandlers
from moorage.http.v2.upload_handlers import UploadHandlers, mount_source


def optional_for_mount(call: Call) -> Sequence[Access]:
    """Return the access that a mount can use besides; without it, the mount is an ordinary upload."""
    try:
        source = mount_source(call) if call.query.first("mount") is not None else None
    except NameInvalid:
        return ()
    return () if source is None or source == call.name else Access.repository(source, Action.PULL)


SAY_ALIVE = Operation(endpoint=routes.ALIVE, methods=READING, wanted=rights.nothing, is_write=False)
SAY_WHICH = Operation(endpoint=routes.BASE, methods=READING, wanted=rights.credentials, is_write=False)
PULL_BLOB = Operation(endpoint=routes.BLOB, methods=READING, wanted=rights.pull, is_write=False)
DELETE_BLOB = Operation(endpoint=routes.BLOB, methods=("DELETE",), wanted=rights.delete, deletes=True)
PULL_MANIFEST = Operation(endpoint=routes.MANIFEST, methods=READING, wanted=rights.pull, is_write=False)
PUSH_MANIFEST = Operation(endpoint=routes.MANIFEST, methods=("PUT",), wanted=rights.push)
DELETE_MANIFEST = Operation(endpoint=routes.MANIFEST, methods=("DELETE",), wanted=rights.delete, deletes=True)
START_UPLOAD = Operation(endpoint=routes.UPLOADS, methods=("POST",), wanted=rights.push, optional=optional_for_mount)
# Asking for and cancelling an upload are parts of pushing.
APPEND_UPLOAD = Operation(endpoint=routes.UPLOAD, methods=("PATCH",), wanted=rights.push)
COMMIT_UPLOAD = Operation(endpoint=routes.UPLOAD, methods=("PUT",), wanted=rights.push)
ASK_UPLOAD = Operation(endpoint=routes.UPLOAD, methods=READING, wanted=rights.push, is_write=False)
CANCEL_UPLOAD = Operation(endpoint=routes.UPLOAD, methods=("DELETE",), wanted=rights.push)
LIST_TAGS = Operation(endpoint=routes.TAGS, methods=READING, wanted=rights.pull, is_write=False)
LIST_REFERRERS = Operation(endpoint=routes.REFERRERS, methods=READING, wanted=rights.pull, is_write=False)
LIST_REPOSITORIES = Operation(endpoint=routes.CATALOGUE, methods=READING, wanted=rights.catalogue, is_write=False)

OPERATIONS: Sequence[Operation] = (
    SAY_ALIVE,
    SAY_WHICH,
    PULL_BLOB,
    DELETE_BLOB,
    PULL_MANIFEST,
    PUSH_MANIFEST,
    DELETE_MANIFEST,
    START_UPLOAD,
    APPEND_UPLOAD,
    COMMIT_UPLOAD,
    ASK_UPLOAD,
    CANCEL_UPLOAD,
    LIST_TAGS,
    LIST_REFERRERS,
    LIST_REPOSITORIES,
)


def v2_api(
    *, blobs: BlobHandlers, uploads: UploadHandlers, manifests: ManifestHandlers, listings: ListingHandlers
) -> Api:
    """Make the API of its handlers."""
    handlers = {
        SAY_ALIVE: listings.alive,
        SAY_WHICH: listings.base,
        PULL_BLOB: blobs.get,
        DELETE_BLOB: blobs.delete,
        PULL_MANIFEST: manifests.get,
        PUSH_MANIFEST: manifests.put,
        DELETE_MANIFEST: manifests.delete,
        START_UPLOAD: uploads.start,
        APPEND_UPLOAD: uploads.append,
        COMMIT_UPLOAD: uploads.commit,
        ASK_UPLOAD: uploads.status,
        CANCEL_UPLOAD: uploads.cancel,
        LIST_TAGS: listings.tags,
        LIST_REFERRERS: listings.referrers,
        LIST_REPOSITORIES: listings.catalogue,
    }
    return Api(routes.match, OPERATIONS, handlers, check_stored=listings.check_stored)
