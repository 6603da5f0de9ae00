"""Contents of a token: each scope that was asked for, cut to what the credentials may do, with reasons for the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models.functions import Lower

from moorage.auth.claims import AccessClaim, Meta, past_claim
from moorage.control.images.moving_now import is_being_deleted, is_being_moved
from moorage.control.namespaces.models import Namespace, PlaceKind
from moorage.control.namespaces.old_paths import places_once_at
from moorage.control.prepared import PreparedQuery
from moorage.control.projects.models import Project
from moorage.control.projects.requesters import Requester
from moorage.control.projects.rules import CredentialKind, FeatureLevel, Standing, Visibility
from moorage.control.projects.standings import known_since, standing_in_project
from moorage.control.refusals import ChangeRefused
from moorage.control.tokens.creation import make_project, namespace_above, new_project
from moorage.control.tokens.image_records import GOING, MOVING, is_push_protected, note_push, tag_claims
from moorage.control.tokens.rules import NOT_THERE, DecisionStep, asked_project_paths, denial, denied_step
from moorage.control.usage.questions import namespace_obstacle, push_obstacle
from moorage.token_server.scopes import Scope

PUSH_PROTECTED = "Pushing to protected repository path forbidden"
"""Source: GitLab features TKN-009."""

_PROJECTS = PreparedQuery[Project](
    lambda *paths: (
        Project.objects.alias(lowered=Lower("full_path")).filter(lowered__in=paths).select_related("namespace")
    )
)
_NOWHERE = Project(pk=0, namespace=Namespace(pk=0, lineage="0/"))
"""A project that is not there: what is asked about one that is, is asked about it too."""
_PUSHES = frozenset({"push", "*"})
_CHANGES = _PUSHES | {"delete"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """An action that is not allowed."""

    action: str
    reason: str
    """For the log and for administrators."""
    shown: str
    """For who has asked: it tells of nothing that they do not see."""
    step: DecisionStep = DecisionStep.NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeVerdict:
    """The decision about one scope."""

    scope: Scope
    granted: tuple[str, ...] = ()
    denials: tuple[Denial, ...] = ()
    project: Project | None = None
    would_make: str = ""
    """Path of the project that the push would make, where nothing was to be made."""
    is_push_protected: bool = False
    meta: Meta | None = None

    @property
    def claim(self) -> AccessClaim:
        """Its entry in a token."""
        name = self.scope.name.lower() if self.scope.kind == "repository" else self.scope.name
        return AccessClaim(type=self.scope.kind, name=name, actions=list(self.granted), meta=self.meta)


def verdicts_on(who: Requester, scopes: Sequence[Scope], *, makes: bool) -> Sequence[ScopeVerdict]:
    """Decide about each of *scopes*.

    Args:
        who: whose credentials came.
        scopes: what was asked for.
        makes: True: a first push makes its project, as far as it may; False: nothing is changed.
    """
    return [_verdict(who, scope, makes=makes) for scope in scopes]


def note_pushes(who: Requester, verdicts: Sequence[ScopeVerdict]) -> None:
    """Have a record of each repository that may be pushed to."""
    for verdict in verdicts:
        if verdict.project is not None and "push" in verdict.granted:
            note_push(verdict.project, verdict.claim.name, by=who.as_actor())


def _verdict(who: Requester, scope: Scope, *, makes: bool) -> ScopeVerdict:
    if scope.kind == "registry":
        return _of_registry(who, scope)
    if scope.kind != "repository":
        return _all_denied(scope, f"{scope.kind} is not known here; there are repository and registry")
    paths = asked_project_paths(scope.name)
    if not paths:
        return _all_denied(scope, "no repository has this name: it is that of a project, and at most two parts more")
    project = _project_at(paths)
    # Strangers make none, and get no later answer.
    is_new_possible = "push" in scope.actions and not who.is_anonymous
    if project is not None:
        verdict = _of_project(who, scope, project)
        if _is_hidden(verdict):
            # As if it were not there: the time of an answer tells nothing.
            if is_new_possible:
                namespace_above(paths)
            else:
                _moved_from(paths)
        return verdict
    if is_new_possible:
        return _of_new(who, scope, paths, makes=makes)
    return _of_nothing(who, scope, paths)


def _of_nothing(who: Requester, scope: Scope, paths: Sequence[str]) -> ScopeVerdict:
    """Deny all, and say where the project is now if it was here: no image is reached by its old name. See ADR 171."""
    reason, (old, project) = "there is no project at this path", _moved_from(paths)
    standing = standing_in_project(who, project)  # Also if there is none: as if it were there.
    if old:
        reason += f"; what was here is at {project.full_path.lower()}{scope.name.lower()[len(old) :]} now"
        why_not = denial("pull", feature=project.feature, visibility=project.shown_to, who=standing)
        if why_not != NOT_THERE:
            return _all_denied(scope, reason, step=DecisionStep.PROJECT)
    return _all_denied(scope, reason, shown=NOT_THERE, step=DecisionStep.PROJECT)


def _moved_from(paths: Sequence[str]) -> tuple[str, Project]:
    """The longest of *paths* at which a project was, and that project; as many questions if there was none."""
    rows = [row for row in places_once_at(paths) if row.kind == PlaceKind.PROJECT]
    old, key = (rows[0].path, rows[0].place_id) if rows else ("", 0)
    found = Project.objects.select_related("namespace").filter(pk__in=[key]).first()
    return (old, found) if found is not None else ("", _NOWHERE)


def _is_hidden(verdict: ScopeVerdict) -> bool:
    return bool(verdict.denials) and all(one.shown == NOT_THERE for one in verdict.denials)


def _of_project(who: Requester, scope: Scope, project: Project) -> ScopeVerdict:
    path = scope.name.lower()
    standing = standing_in_project(who, project)
    granted, denials = _sorted(scope, standing, feature=project.feature, visibility=project.shown_to)
    if not _CHANGES.isdisjoint(granted) and is_being_moved(path):
        # What is pushed to a path that is being left would be left there.
        denials += tuple(
            Denial(action=one, reason=MOVING, shown=MOVING, step=DecisionStep.PROJECT)
            for one in granted
            if one in _CHANGES
        )
        granted = tuple(one for one in granted if one not in _CHANGES)
    is_protected = not _PUSHES.isdisjoint(granted) and is_push_protected(project, path, standing)
    if not _PUSHES.isdisjoint(granted) and is_being_deleted(project, path):
        granted, denials = _without_pushes(granted, denials, GOING, DecisionStep.PROJECT)
    elif not _PUSHES.isdisjoint(granted) and (reason := push_obstacle(project)):
        granted, denials = _without_pushes(granted, denials, reason, DecisionStep.QUOTA)
    meta = None
    if granted:
        tags = tag_claims(project, standing, granted)
        meta = Meta(
            project_path=project.full_path.lower(),
            project_id=project.pk,
            root_namespace_id=project.namespace.lineage_ids[0],
            tag_deny_access_patterns=tags.denied,
            tag_immutable_patterns=tags.immutable,
            history_since=past_claim(known_since(project, standing)),
        )
    return ScopeVerdict(
        scope=scope, granted=granted, denials=denials, project=project, is_push_protected=is_protected, meta=meta
    )


def _without_pushes(
    granted: tuple[str, ...], denials: tuple[Denial, ...], reason: str, step: DecisionStep
) -> tuple[tuple[str, ...], tuple[Denial, ...]]:
    """Take pushes away; pulls and deletions stay, of ``*`` too. Source: ADR 0090, ADR 0184."""
    left = [action for action in granted if action not in _PUSHES]
    if "*" in granted:
        left += [action for action in ("pull", "delete") if action not in left]
    lost = [Denial(action=action, reason=reason, shown=reason, step=step) for action in granted if action in _PUSHES]
    return tuple(left), (*denials, *lost)


def _of_new(who: Requester, scope: Scope, paths: Sequence[str], *, makes: bool) -> ScopeVerdict:
    new = new_project(who, paths)
    if new.shown == NOT_THERE and (new.namespace is None or who.job_token is not None):
        standing_in_project(who, _NOWHERE)  # As if there were a project that is not shown.
    if new.reason:
        return _all_denied(scope, new.reason, shown=new.shown, step=DecisionStep.PROJECT)
    reason = namespace_obstacle(new.namespace) if new.namespace is not None else ""
    if reason:
        return _all_denied(scope, reason, step=DecisionStep.QUOTA)
    if not makes:
        granted, denials = _sorted(scope, new.who, feature=FeatureLevel.ENABLED, visibility=Visibility.PRIVATE)
        return ScopeVerdict(scope=scope, granted=granted, denials=denials, would_make=f"{new.namespace}/{new.path}")
    try:
        project = make_project(new, who)
    except ChangeRefused as exc:
        # Another request of the same push may have been faster.
        found, reason = _project_at(paths), f"no project can be made at this path: {exc}"
        if found is None:
            return _all_denied(scope, reason, step=DecisionStep.PROJECT)
        project = found
    return _of_project(who, scope, project)


def _of_registry(who: Requester, scope: Scope) -> ScopeVerdict:
    # Source: GitLab features TKN-014.
    is_admin = who.user is not None and who.user.is_admin and who.credential is not CredentialKind.JOB_TOKEN
    if scope.name != "catalog" or scope.actions != ("*",):
        return _all_denied(scope, "of the registry itself there is catalog:* and nothing else")
    if not is_admin:
        return _all_denied(scope, "the catalogue is for administrators", step=DecisionStep.ROLE)
    return ScopeVerdict(scope=scope, granted=scope.actions)


def _sorted(
    scope: Scope, standing: Standing, *, feature: FeatureLevel, visibility: Visibility
) -> tuple[tuple[str, ...], tuple[Denial, ...]]:
    """The actions that are allowed, and the others."""
    reasons = {action: denial(action, feature=feature, visibility=visibility, who=standing) for action in scope.actions}
    granted = tuple(action for action, reason in reasons.items() if not reason)
    denied = tuple(
        Denial(
            action=action,
            reason=_for_log(reason),
            shown=reason,
            step=denied_step(action, feature=feature, visibility=visibility, who=standing),
        )
        for action, reason in reasons.items()
        if reason
    )
    return granted, denied


def _for_log(reason: str) -> str:
    return "the project is not shown to these credentials" if reason == NOT_THERE else reason


def _all_denied(scope: Scope, reason: str, *, shown: str = "", step: DecisionStep = DecisionStep.NAME) -> ScopeVerdict:
    denials = [Denial(action=action, reason=reason, shown=shown or reason, step=step) for action in scope.actions]
    return ScopeVerdict(scope=scope, denials=tuple(denials))


def _project_at(paths: Sequence[str]) -> Project | None:
    return max(_PROJECTS.rows(*paths), key=lambda project: len(project.full_path), default=None)
