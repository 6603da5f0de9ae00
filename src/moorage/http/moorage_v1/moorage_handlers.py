"""This registry's own API, ``/moorage/v1/``: history, undo, the removal of many tags, and garbage collection.

It is there with a metadata database only; without one, 404 says so. What each takes and answers is said in
``moorage_operations.py``.
"""

from collections.abc import Mapping
from dataclasses import replace

from moorage.api.history_answers import HistoryPage
from moorage.core.history import History, Selection
from moorage.errors import (
    ManifestUnknown,
    MethodNotAllowed,
)
from moorage.gc.online.gc_administration import GcAdministration
from moorage.http.call import Call
from moorage.http.moorage_v1 import answers
from moorage.http.moorage_v1 import collection_models as shown
from moorage.http.moorage_v1 import moorage_operations as rows
from moorage.http.moorage_v1 import requests as asked
from moorage.http.moorage_v1.json_bodies import read_body
from moorage.http.operations import Handler, Operation
from moorage.metadata.base import Cause, Page
from moorage.metadata.history import AsOf, Expected, JournalEntry, JournalFilter, Target, UndoSteps
from moorage.oci.tag_patterns import TagPattern
from moorage.web.bodies import Bodies
from moorage.web.headers import next_link
from moorage.web.responses import Response


class MoorageHandlers:
    """Everything below ``/moorage/v1/``."""

    def __init__(self, history: History, collection: GcAdministration, bodies: Bodies) -> None:
        self._history = history
        self._collection = collection
        self._bodies = bodies

    @property
    def handlers(self) -> Mapping[Operation, Handler]:
        """The handler of each row of the table."""
        return {
            rows.SHOW_HISTORY: self.history,
            rows.SHOW_REQUEST: self.request,
            rows.SHOW_TAG: self.tag,
            rows.UNDO_TAG: self.undo_tag,
            rows.UNDO_REQUEST: self.undo_request,
            rows.DELETE_TAGS: self.delete_tags,
            rows.SHOW_COLLECTION: self.collection_status,
            rows.RUN_COLLECTION: self.run_collection,
            rows.EXPLAIN_COLLECTION: self.explain_collection,
        }

    async def history(self, call: Call) -> Response:
        """Answer with what was done in a repository, newest first."""
        query = asked.parse_query(asked.HistoryQuery, call.query)
        wanted = JournalFilter(
            repository=query.repository,
            tag=query.tag,
            request_id=query.request,
            since=query.since,
            until=query.until,
        )
        page = await self._history.entries(wanted, grant=call.grant, before=query.last, limit=query.n)
        return _page(call, page)

    async def request(self, call: Call) -> Response:
        """Answer with what one request did, newest first."""
        query = asked.parse_query(asked.RequestQuery, call.query)
        page = await self._history.request_entries(
            query.id, repository=query.repository, grant=call.grant, before=query.last, limit=query.n
        )
        return _page(call, page)

    async def tag(self, call: Call) -> Response:
        """Answer with the state of a tag, now or at a time."""
        query = asked.parse_query(asked.TagQuery, call.query)
        state = await self._history.tag(query.repository, query.tag, grant=call.grant, at=query.at)
        return answers.json_response(answers.tag(query.repository, query.tag, state, at=query.at))

    async def undo_tag(self, call: Call) -> Response:
        """Take a tag back."""
        query = asked.parse_query(asked.TagUndoQuery, call.query)
        body = await read_body(call, self._bodies, asked.TagUndo)
        expected = Expected(body.expected) if "expected" in body.model_fields_set else None
        outcome = await self._history.undo_tag(
            query.repository,
            query.tag,
            _target(body),
            expected=expected,
            grant=call.grant,
            cause=_cause(call, is_undo=True),
            dry_run=body.dry_run,
        )
        return answers.json_response(answers.undo(outcome, request_id=call.id, dry_run=body.dry_run))

    async def undo_request(self, call: Call) -> Response:
        """Take back everything that one request did."""
        query = asked.parse_query(asked.RequestUndoQuery, call.query)
        body = await read_body(call, self._bodies, asked.RequestUndo)
        outcome = await self._history.undo_request(
            query.id,
            repository=query.repository,
            grant=call.grant,
            cause=_cause(call, is_undo=True),
            partial=body.partial,
            dry_run=body.dry_run,
        )
        return answers.json_response(answers.undo(outcome, request_id=call.id, dry_run=body.dry_run))

    async def delete_tags(self, call: Call) -> Response:
        """Delete many tags."""
        query = asked.parse_query(asked.TagsDeleteQuery, call.query)
        body = await read_body(call, self._bodies, asked.TagsDelete)
        removal = await self._history.delete_tags(
            query.repository,
            _selection(body),
            grant=call.grant,
            cause=_cause(call, is_undo=False),
            limit=body.limit,
            dry_run=body.dry_run,
        )
        return answers.json_response(answers.removal(removal, request_id=call.id, dry_run=body.dry_run))

    async def collection_status(self, call: Call) -> Response:
        """Answer with the state of garbage collection."""
        asked.parse_query(asked.NoQuery, call.query)
        return answers.json_response(shown.status(await self._collection.status()))

    async def run_collection(self, call: Call) -> Response:
        """Collect what is due now."""
        asked.parse_query(asked.NoQuery, call.query)
        body = await read_body(call, self._bodies, shown.CollectionRun)
        if not self._collection.collectors:
            msg = "this node does not collect garbage (gc.disabled, or gc.blobs.disabled and gc.manifests.disabled)"
            raise MethodNotAllowed(msg, allowed=())
        return answers.json_response(shown.ran(await self._collection.run(gives_up_undo=body.give_up_undo)))

    async def explain_collection(self, call: Call) -> Response:
        """Explain why something stays, or when it goes."""
        query = asked.parse_query(shown.ExplainQuery, call.query)
        found = await self._collection.explain(query.repository, query.digest)
        if not found:
            msg = "the repository has no manifest and no blob of this digest, and nothing of it that could come back"
            raise ManifestUnknown(msg, digest=str(query.digest))
        collected = list(self._collection.collectors)
        return answers.json_response(shown.explanations(query.repository, query.digest, found, collected=collected))


def _selection(body: asked.TagsDelete) -> Selection:
    return Selection(
        chosen=TagPattern.parse(body.matching or "") if body.tags is None else body.tags,
        keep_matching=None if body.keep_matching is None else TagPattern.parse(body.keep_matching),
        keep_newest=body.keep_newest,
    )


def _target(body: asked.TagUndo) -> Target:
    if body.to is not None:
        return body.to
    return UndoSteps(body.steps or 1) if body.at is None else AsOf(body.at)


def _cause(call: Call, *, is_undo: bool) -> Cause:
    """Return the caller and the reason; an undo describes itself, so only the caller's own reason is added."""
    has_reason = "Moorage-Reason" in call.headers
    reason = "" if is_undo and not has_reason else call.cause.reason
    return replace(call.cause, reason=reason)


def _page(call: Call, page: Page[JournalEntry]) -> Response:
    response = answers.json_response(HistoryPage(entries=[answers.entry(found) for found in page.items]))
    if page.more:
        kept = [(name, values[0]) for name, values in call.query.values.items() if name != "last"]
        response.headers["Link"] = next_link(call.path, [*kept, ("last", str(page.items[-1].id))])
    return response
