"""This registry's own API, ``/moorage/v1/``: history, undo, the removal of many tags, and garbage collection.

It is there with a metadata database only; without one, 404 says so. What each takes and answers is said in
``moorage_operations.py``.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from moorage.api.history_answers import HistoryPage
from moorage.auth.access import Access, Action
from moorage.auth.guards import Guard
from moorage.core.history import History, Selection
from moorage.errors import (
    BodyTooLarge,
    ContentTypeInvalid,
    ManifestUnknown,
    MethodNotAllowed,
    NameUnknown,
    RequestUnknown,
)
from moorage.gc.online.gc_administration import GcAdministration
from moorage.http.call import Call
from moorage.http.moorage_v1 import answers
from moorage.http.moorage_v1 import collection_models as shown
from moorage.http.moorage_v1 import moorage_operations as rows
from moorage.http.moorage_v1 import requests as asked
from moorage.http.operations import Handler, Operation
from moorage.metadata.base import Cause, Page
from moorage.metadata.history import AsOf, Expected, JournalEntry, JournalFilter, Target, UndoSteps
from moorage.metadata.history import JournalAction as JournalAction
from moorage.oci.mediatypes import without_parameters
from moorage.oci.names import RepositoryName
from moorage.web.bodies import Bodies
from moorage.web.headers import next_link
from moorage.web.responses import Response

_JSON = {"Content-Type": "application/json"}
_MADE_CONTENT = frozenset({JournalAction.MANIFEST_CREATE, JournalAction.MANIFEST_RESTORE, JournalAction.BLOB_RESTORE})
"""Taking it back deletes a manifest, or takes a blob out."""


class MoorageHandlers:
    """Everything below ``/moorage/v1/``."""

    def __init__(self, history: History, collection: GcAdministration, bodies: Bodies, guard: Guard) -> None:
        """*guard* is asked again where the repositories are only known once the journal has been read."""
        self._history = history
        self._collection = collection
        self._bodies = bodies
        self._guard = guard

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
        page = await self._history.entries(wanted, before=query.last, limit=query.n)
        return _page(call, page)

    async def request(self, call: Call) -> Response:
        """Answer with what one request did, newest first."""
        query = asked.parse_query(asked.RequestQuery, call.query)
        actor = await self._actor(call, query.id)
        wanted = await self._meant(query.id, actor, query.repository)
        await self._check_touched(call, wanted, Action.PULL)
        page = await self._history.entries(wanted, before=query.last, limit=query.n)
        return _page(call, page)

    async def tag(self, call: Call) -> Response:
        """Answer with the state of a tag, now or at a time."""
        query = asked.parse_query(asked.TagQuery, call.query)
        state = await self._history.tag(query.repository, query.tag, at=query.at)
        return _answer(answers.tag(query.repository, query.tag, state, at=query.at))

    async def undo_tag(self, call: Call) -> Response:
        """Take a tag back."""
        query = asked.parse_query(asked.TagUndoQuery, call.query)
        body = await self._body(call, asked.TagUndo)
        call.grant.protection(query.repository).check_change(query.tag)
        expected = Expected(body.expected) if "expected" in body.model_fields_set else None
        cause = _cause(call, is_undo=True)
        outcome = await self._history.undo_tag(
            query.repository, query.tag, _target(body), expected=expected, cause=cause, dry_run=body.dry_run
        )
        return _answer(answers.undo(outcome, request_id=call.id, dry_run=body.dry_run))

    async def undo_request(self, call: Call) -> Response:
        """Take back everything that one request did."""
        query = asked.parse_query(asked.RequestUndoQuery, call.query)
        body = await self._body(call, asked.RequestUndo)
        actor = await self._actor(call, query.id)
        wanted = await self._meant(query.id, actor, query.repository)
        names = await self._check_touched(call, wanted, Action.PULL, Action.PUSH, Action.DELETE)
        await self._check_changes(call, wanted, names)
        outcome = await self._history.undo_request(
            query.id,
            actor=actor,
            repository=wanted.repository,
            cause=_cause(call, is_undo=True),
            partial=body.partial,
            dry_run=body.dry_run,
        )
        return _answer(answers.undo(outcome, request_id=call.id, dry_run=body.dry_run))

    async def delete_tags(self, call: Call) -> Response:
        """Delete many tags."""
        query = asked.parse_query(asked.TagsDeleteQuery, call.query)
        body = await self._body(call, asked.TagsDelete)
        selection = Selection(
            tags=body.tags,
            matching=body.matching or "",
            keep_matching=body.keep_matching,
            keep_newest=body.keep_newest,
        )
        protection = call.grant.protection(query.repository)
        removal = await self._history.delete_tags(
            query.repository,
            selection,
            cause=_cause(call, is_undo=False),
            is_protected=protection.keeps,
            limit=body.limit,
            dry_run=body.dry_run,
        )
        return _answer(answers.removal(removal, request_id=call.id, dry_run=body.dry_run))

    async def collection_status(self, call: Call) -> Response:
        """Answer with the state of garbage collection."""
        asked.parse_query(asked.NoQuery, call.query)
        return _answer(shown.status(await self._collection.status()))

    async def run_collection(self, call: Call) -> Response:
        """Collect what is due now."""
        asked.parse_query(asked.NoQuery, call.query)
        body = await self._body(call, shown.CollectionRun)
        if not self._collection.collectors:
            msg = "this node does not collect garbage (gc.disabled, or gc.blobs.disabled and gc.manifests.disabled)"
            raise MethodNotAllowed(msg, allowed=())
        return _answer(shown.ran(await self._collection.run(gives_up_undo=body.give_up_undo)))

    async def explain_collection(self, call: Call) -> Response:
        """Why something stays, or when it goes."""
        query = asked.parse_query(shown.ExplainQuery, call.query)
        found = await self._collection.explain(query.repository, query.digest)
        if not found:
            msg = "the repository has no manifest and no blob of this digest, and nothing of it that could come back"
            raise ManifestUnknown(msg, digest=str(query.digest))
        collected = list(self._collection.collectors)
        return _answer(shown.explanations(query.repository, query.digest, found, collected=collected))

    async def _actor(self, call: Call, request_id: str) -> str | None:
        """Whose changes a request's id means: one's own, if one has used it; else everybody's (None).

        Clients choose the id, so another may have used it as well, and must not get into the way. Who has no name,
        as no token has without ``sub``, has the changes of those without a name for its own.
        """
        actor = call.grant.actor
        if call.grant.accesses is None:
            return None
        return actor if await self._has_any(JournalFilter(request_id=request_id, actor=actor)) else None

    async def _meant(self, request_id: str, actor: str | None, repository: RepositoryName | None) -> JournalFilter:
        """Find the changes that a request's id means: if it may be several callers', those in the named *repository*.

        Only a rename changes more than one repository, and is one thing: then it is all of them.
        """
        everything = JournalFilter(request_id=request_id, actor=actor)
        if actor or repository is None:
            return everything
        inside = replace(everything, repository=repository)
        renames = replace(inside, action=JournalAction.REPOSITORY_RENAME)
        try:
            return inside if await self._has_any(inside) and not await self._has_any(renames) else everything
        except NameUnknown:
            return everything

    async def _has_any(self, wanted: JournalFilter) -> bool:
        return bool((await self._history.entries(wanted, before=None, limit=1)).items)

    async def _check_touched(self, call: Call, wanted: JournalFilter, *actions: Action) -> Sequence[RepositoryName]:
        """The repositories that a request changed, once it is known that the credentials allow *actions* on all.

        Raises:
            RequestUnknown: there are none, or not all may be seen: who may not see them learns nothing of them.
            Unauthorized: all may be seen, but not so changed.
        """
        is_limited, request_id = call.grant.accesses is not None, wanted.request_id or ""
        try:
            names = await self._history.touched(request_id, actor=wanted.actor, repository=wanted.repository)
        except RequestUnknown:
            if is_limited:
                raise _unseen(request_id) from None
            raise
        seen = [access for name in names for access in Access.repository(name, Action.PULL)]
        if not call.grant.allows(seen):
            raise _unseen(request_id)
        needed = [access for name in names for access in Access.repository(name, *actions)]
        self._guard.require(call, call.grant, needed)
        return names

    async def _check_changes(self, call: Call, wanted: JournalFilter, names: Sequence[RepositoryName]) -> None:
        """See that the credentials may do whatever taking back each change comes to.

        A tag, or what it needs, counts as protected in every repository of the request: names may have changed.

        Raises:
            Protected: a tag may not be changed, or content not be deleted.
            PatternRefused: a pattern of the token cannot be used.
            Unauthorized: a repository may not be given its old name.
        """
        if call.grant.accesses is None:
            return
        protections = [call.grant.protections[name.text] for name in names if name.text in call.grant.protections]
        last: int | None = None
        while True:
            page = await self._history.entries(wanted, before=last, limit=asked.PAGE_LIMIT)
            tags = {entry.tag for entry in page.items if entry.tag is not None}
            for protection, tag in itertools.product(protections, tags):
                protection.check_change(tag)
            if any(entry.action in _MADE_CONTENT for entry in page.items):
                for protection in protections:
                    protection.check_content()
            for old, new in [entry.renamed for entry in page.items if entry.renamed is not None]:
                back = Access.move(RepositoryName(new), old.rpartition("/")[0] or old)
                self._guard.require(call, call.grant, (*back, *Access.repository(RepositoryName(old), Action.PUSH)))
            if not page.more:
                return
            last = page.items[-1].id

    async def _body(self, call: Call, model: type[asked.Model]) -> asked.Model:
        # A page in somebody's browser can send a form or plain text here without being asked; JSON it cannot.
        if without_parameters(call.headers.get("Content-Type", "")) != "application/json":
            msg = "the body is JSON: send Content-Type: application/json"
            raise ContentTypeInvalid(msg)
        _check_size(call.request.content_length or 0)
        return asked.parse_body(model, await self._bodies.whole(call.request, check_size=_check_size))


def _unseen(request_id: str) -> RequestUnknown:
    msg = (
        "no change was made by a request of this id, or it also changed repositories that the credentials do not allow "
        "to see; a token for its repository is asked for with ?repository="
    )
    return RequestUnknown(msg, request=request_id)


def _target(body: asked.TagUndo) -> Target:
    if body.to is not None:
        return body.to
    return UndoSteps(body.steps or 1) if body.at is None else AsOf(body.at)


def _cause(call: Call, *, is_undo: bool) -> Cause:
    """Return the caller and the reason; an undo describes itself, so only the caller's own reason is added."""
    has_reason = "Moorage-Reason" in call.headers
    reason = "" if is_undo and not has_reason else call.cause.reason
    return Cause(call.grant.actor, call.id, reason)


def _check_size(size_bytes: int) -> None:
    if size_bytes > asked.BODY_LIMIT_BYTES:
        msg = f"the body is larger than {asked.BODY_LIMIT_BYTES} bytes"
        raise BodyTooLarge(msg, limit=asked.BODY_LIMIT_BYTES)


def _page(call: Call, page: Page[JournalEntry]) -> Response:
    response = _answer(HistoryPage(entries=[answers.entry(found) for found in page.items]))
    if page.more:
        kept = [(name, values[0]) for name, values in call.query.values.items() if name != "last"]
        response.headers["Link"] = next_link(call.path, [*kept, ("last", str(page.items[-1].id))])
    return response


def _answer(answer: object) -> Response:
    return Response(200, dict(_JSON), answers.to_json(answer))
