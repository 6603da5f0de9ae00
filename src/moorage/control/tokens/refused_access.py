"""Refusals of the token endpoint and of the registry, noted so that a page can say later what was refused and why.

A refusal that is met again is the same row, written at most once a minute; a project and a user have a bounded number.
So a client that tries for ever costs a row, and a stranger that tries everything costs a bounded number of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from moorage.control.accounts.models import User
from moorage.control.events.intake import RegistryEvent
from moorage.control.images.owning import project_at
from moorage.control.projects.models import DeployToken, Project
from moorage.control.projects.requesters import Requester
from moorage.control.projects.rules import CredentialKind
from moorage.control.tokens.granting import PUSH_PROTECTED, Denial, ScopeVerdict, verdicts_on
from moorage.control.tokens.models import KEPT, AccessRefusal, RefusalRows
from moorage.control.tokens.rules import DecisionStep
from moorage.oci.names import RepositoryName
from moorage.token_server.scopes import Scope

ROWS_LIMIT = 500
"""For each project; for each user as far as there is no project."""
_AGAIN = timedelta(minutes=1)
_ID_LIMIT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The decision about one action: at which step it was refused, and why."""

    action: str
    project: Project | None
    step: DecisionStep | None = None
    """None: it is allowed."""
    reason: str = ""
    shown: str = ""


def note_refusals(who: Requester, verdicts: Sequence[ScopeVerdict], *, request_id: str) -> None:
    """Keep what *verdicts* deny to *who*, for 30 days."""
    now = timezone.now()
    for verdict in verdicts:
        found = list(verdict.denials)
        if verdict.is_push_protected:
            found.append(_by_rule())
        # Nobody in particular at no project is nobody's business: the log has it.
        if found and verdict.scope.kind == "repository" and (verdict.project is not None or who.name):
            _note(who, verdict, found, request_id=request_id, now=now)


def note_told(events: Sequence[RegistryEvent]) -> int:
    """Keep the refusals that the registry tells of, as those of the token endpoint; return how many there were.

    What is of no project, or of a name that no repository has, is left to the registry's log.
    """
    now, count = timezone.now(), 0
    for event in events:
        project = None
        if event.action == "refuse" and event.refusal and RepositoryName.is_valid(event.path):
            project = project_at(event.path)
        if project is None:
            continue
        count += 1
        verdict = ScopeVerdict(scope=Scope("repository", event.path, (_action(event),)), project=project)
        denial = Denial(action=_action(event), reason=event.refusal, shown=event.refusal, step=DecisionStep.RULE)
        _note(_told_requester(event), verdict, [denial], request_id=event.request_id, now=now)
    return count


def _action(event: RegistryEvent) -> str:
    return "delete" if event.method == "DELETE" else "push"


def _told_requester(event: RegistryEvent) -> Requester:
    kinds = {kind.value: kind for kind in CredentialKind}
    kind = kinds.get(event.credential, CredentialKind.NONE)
    if not event.actor:
        return Requester(credential=kind)
    if kind is CredentialKind.DEPLOY_TOKEN:
        return Requester(credential=kind, deploy_token=DeployToken.objects.filter(username=event.actor).first())
    return Requester(credential=kind, user=User.objects.filter(username=event.actor).first())


def decide(who: Requester, repository: str, action: str) -> Decision:
    """Decide about *action* as the token endpoint would; nothing is changed and nothing is noted."""
    (verdict,) = verdicts_on(who, [Scope("repository", repository, (action,))], makes=False)
    denial = verdict.denials[0] if verdict.denials else _by_rule() if verdict.is_push_protected else None
    if denial is None:
        return Decision(action=action, project=verdict.project)
    return Decision(action=action, project=verdict.project, step=denial.step, reason=denial.reason, shown=denial.shown)


def _by_rule() -> Denial:
    return Denial(action="push", reason=PUSH_PROTECTED, shown=PUSH_PROTECTED, step=DecisionStep.RULE)


def _note(who: Requester, verdict: ScopeVerdict, denials: Sequence[Denial], *, request_id: str, now: datetime) -> None:
    chosen = next((one for one in denials if one.action == "push"), denials[-1])
    same = {
        "user": who.user,
        "name": who.name,
        "credential": who.credential_name,
        "project": verdict.project,
        "repository": verdict.scope.name.lower()[:255],
        "actions": ",".join(one.action for one in denials)[:60],
        "step": chosen.step,
    }
    last = {"shown": chosen.shown, "reason": chosen.reason, "request_id": request_id[:_ID_LIMIT], "last_at": now}
    with transaction.atomic():
        row = AccessRefusal.objects.filter(**same).first()
        if row is None:
            _make_room(who, verdict.project, now)
            AccessRefusal.objects.create(**same, **last, first_at=now)
        elif row.last_at + _AGAIN <= now:
            AccessRefusal.objects.filter(pk=row.pk).update(**last)


def _make_room(who: Requester, project: Project | None, now: datetime) -> None:
    """Take away what is too old, and the oldest of too many."""
    AccessRefusal.objects.filter(last_at__lt=now - KEPT).delete()
    rows: RefusalRows = AccessRefusal.objects.all()
    rows = rows.of_project(project) if project is not None else rows.filter(project=None, name=who.name)
    surplus = list(rows.order_by("-last_at", "-pk").values_list("pk", flat=True)[ROWS_LIMIT - 1 :])
    if surplus:
        AccessRefusal.objects.filter(pk__in=surplus).delete()
