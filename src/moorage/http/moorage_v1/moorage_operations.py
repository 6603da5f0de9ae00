"""The table of operations of our own API, ``/moorage/v1/``: all paths are fixed, and what is meant is in the query.

A new one is a row here, with its models beside it or in ``moorage.api`` and ``requests.py``, and its handler.
Source: ADR 0012, ADR 0042.
"""

from collections.abc import Sequence

from moorage import errors, moorage_errors
from moorage.api import collection_answers as reviews
from moorage.api import history_answers as past
from moorage.auth.access import Access, Action
from moorage.http import rights
from moorage.http.call import Call
from moorage.http.moorage_v1 import collection_models as collection
from moorage.http.moorage_v1 import requests as asked
from moorage.http.moorage_v1.operation_rows import ALL, BODY, get, post
from moorage.http.operations import Documentation, Operation, Rights
from moorage.oci.names import RepositoryName


def on_asked(*actions: Action) -> Rights:
    """Return the rights to do *actions* with the repository that the query names; without one, any credentials."""

    def wanted(call: Call) -> Sequence[Access]:
        text = call.query.first("repository")
        return () if text is None else Access.repository(RepositoryName.parse(text), *actions)

    return wanted


_PROTECTED = (errors.Protected, errors.PatternRefused)
_UNDO = (moorage_errors.UndoConflict, moorage_errors.ContentGone, *_PROTECTED, *BODY)
_DIGEST = (errors.DigestInvalid, errors.TagInvalid)

OPENAPI = get(
    "openapi.json",
    on_asked(Action.PULL),
    Documentation(
        id="openapi",
        summary="This document",
        description="The description of this API, in OpenAPI 3.1.",
        access="any credentials that are accepted",
    ),
)

SHOW_HISTORY = get(
    "history",
    on_asked(Action.PULL),
    Documentation(
        id="history",
        summary="What was done in a repository, newest first",
        description="Every move and removal of a tag, and every change of a manifest or a blob, with who did it, when, "
        "by which request, and whether what it took away can come back.",
        access="pull on the repository",
        query=asked.HistoryQuery,
        answer=past.HistoryPage,
        refusals=(errors.NameUnknown, errors.TagInvalid),
        has_pages=True,
    ),
)

SHOW_REQUEST = get(
    "request",
    on_asked(Action.PULL),
    Documentation(
        id="request",
        summary="What one request did, newest first",
        description="The same entries, of all repositories that the request changed something in.",
        access="pull on every repository that the request changed",
        query=asked.RequestQuery,
        answer=past.HistoryPage,
        refusals=(moorage_errors.RequestUnknown,),
        has_pages=True,
    ),
)

SHOW_TAG = get(
    "tag",
    on_asked(Action.PULL),
    Documentation(
        id="tag",
        summary="What a tag is, or was at a time",
        description="The digest to pull, and whether its manifest is still there or can come back.",
        access="pull on the repository",
        query=asked.TagQuery,
        answer=past.TagState,
        refusals=(errors.NameUnknown, errors.TagInvalid),
    ),
)

UNDO_TAG = post(
    "tag/undo",
    on_asked(Action.PULL, Action.PUSH, Action.DELETE),
    Documentation(
        id="undoTag",
        summary="Take a tag back",
        description="Points the tag to what it was before its last change, or to what the body says: it is moved, made "
        "again or deleted, and a deleted manifest that it needs comes back too. Two such requests never both win.",
        access="push and delete on the repository",
        query=asked.TagUndoQuery,
        body=asked.TagUndo,
        answer=past.Undone,
        refusals=(errors.NameUnknown, errors.ManifestUnknown, *_DIGEST, *_UNDO),
    ),
)

UNDO_REQUEST = post(
    "request/undo",
    on_asked(Action.PULL, Action.PUSH, Action.DELETE),
    Documentation(
        id="undoRequest",
        summary="Take back everything that one request did",
        description="In one transaction. If somebody changed some of it since, nothing is done, and the answer lists "
        "what is in the way. An undo is a request as well, and can be taken back.",
        access="push and delete on every repository that the request changed; to take a rename back, also what the "
        "rename itself would need",
        query=asked.RequestUndoQuery,
        body=asked.RequestUndo,
        answer=past.Undone,
        refusals=(moorage_errors.RequestUnknown, moorage_errors.RequestShared, moorage_errors.AlreadyUndone, *_UNDO),
    ),
)

DELETE_TAGS = post(
    "tags/delete",
    on_asked(Action.DELETE),
    Documentation(
        id="deleteTags",
        summary="Delete many tags",
        description="By name or by pattern. Their manifests stay until garbage collection finds that nothing uses "
        "them; before that, the request can be taken back. Tags that are protected or immutable stay.",
        access="delete on the repository",
        query=asked.TagsDeleteQuery,
        body=asked.TagsDelete,
        answer=past.TagsDeleted,
        refusals=(errors.NameUnknown, errors.TagInvalid, errors.PatternRefused, *BODY),
    ),
    deletes=True,
)

SHOW_COLLECTION = get(
    "gc/status",
    rights.catalogue,
    Documentation(
        id="collectionStatus",
        summary="How garbage collection stands",
        description="Both review queues: how much waits, how fast it goes, what failed, and how much will be given "
        "back by when. It reads the queues, so it is not for asking every second: metrics are.",
        access=ALL,
        answer=reviews.CollectionStatus,
    ),
)

RUN_COLLECTION = post(
    "gc/run",
    rights.catalogue,
    Documentation(
        id="runCollection",
        summary="Collect what is due now",
        description="Reviews what is due for about two seconds, and says what it did and what is left: ask again until "
        "nothing is left. The node's own collector goes on beside it.",
        access=ALL,
        body=collection.CollectionRun,
        answer=reviews.CollectionRan,
        refusals=(moorage_errors.AdoptionUnderWay, moorage_errors.TwoDatabases, *BODY),
    ),
)

EXPLAIN_COLLECTION = get(
    "gc/explain",
    on_asked(Action.PULL),
    Documentation(
        id="explainCollection",
        summary="Why something stays, or when it goes",
        description="Which tags and manifests of the repository need a manifest or a blob, whether another repository "
        "does, or since when nothing does and when it goes.",
        access="pull on the repository",
        query=collection.ExplainQuery,
        answer=reviews.ExplanationsAnswer,
        refusals=(errors.NameUnknown, errors.ManifestUnknown, errors.DigestInvalid),
    ),
)

OPERATIONS: Sequence[Operation] = (
    OPENAPI,
    SHOW_HISTORY,
    SHOW_REQUEST,
    SHOW_TAG,
    UNDO_TAG,
    UNDO_REQUEST,
    DELETE_TAGS,
    SHOW_COLLECTION,
    RUN_COLLECTION,
    EXPLAIN_COLLECTION,
)
"""In the order of the OpenAPI document."""
