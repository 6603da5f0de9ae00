"""Users whom a directory vouches for: at sign-in, and looked at again each hour."""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils.translation import gettext

from moorage.control.accounts.changes import block_by_directory, unblock_by_directory
from moorage.control.accounts.identities import UID_LENGTH_LIMIT, NameGivenAnew, identity_at
from moorage.control.accounts.models import ExternalIdentity, User
from moorage.control.audit.actors import SYSTEM
from moorage.control.jobs.loop import Turn
from moorage.control.jobs.walking import KeyWalk
from moorage.control.ldap.directories import client_of, directories
from moorage.control.ldap.people import DirectoryPerson, DirectoryUnavailable
from moorage.control.refusals import ChangeRefused
from moorage.control.sign_in.external_users import AccountTerms, StrangerRefused, settle_admin, user_of_identity
from moorage.control.sign_in.identity_claims import IdentityClaims
from moorage.control.sign_in.models import DirectoryCheck
from moorage.telemetry import get_log

LEASE = timedelta(minutes=5)
AGAIN = timedelta(hours=1)
"""As often as GitLab looks."""
FAILURE_WAIT = timedelta(minutes=10)
_LOOKED_AT_ONCE = 500

_log = get_log("control.sign_in")


def user_of_person(person: DirectoryPerson) -> User:
    """Return the user whom a directory means, made or linked where that is allowed.

    Raises:
        StrangerRefused: there is none, or the user is blocked.
    """
    if len(person.uid) > UID_LENGTH_LIMIT:
        msg = gettext("your name in the directory has more than %d characters") % UID_LENGTH_LIMIT
        raise StrangerRefused(msg)
    return user_of_identity(_claims(person), _terms(person.provider))


class DirectoryChecks:
    """The worker that looks whether directories still have their people: who is gone or disabled there is blocked."""

    name = "directories"
    slots = 1

    def __init__(self) -> None:
        self._walk = KeyWalk(portion=_LOOKED_AT_ONCE, again=AGAIN)

    def step(self, turn: Turn) -> bool:
        """Look at the next user who is due."""
        providers = list(directories())
        if not providers:
            return False
        rows = DirectoryCheck.objects.filter(identity__provider__in=providers).select_related("identity__user")
        row = DirectoryCheck.LEASE.take(rows, now=turn.now, until=turn.now + LEASE)
        if row is None:
            return self._begin_missing(providers, turn.now)
        identity = row.identity
        try:
            person = client_of(identity.provider).person(identity.uid, identity.stable_id)
        except DirectoryUnavailable:
            # Nobody is blocked by a silence. Each who is asked about would wait as long: all of that directory wait.
            late = DirectoryCheck.objects.filter(identity__provider=identity.provider, due_at__lte=turn.now)
            late.update(due_at=turn.now + FAILURE_WAIT)
            DirectoryCheck.LEASE.settle(row, due_at=turn.now + FAILURE_WAIT)
            return True
        _follow(identity, person)
        DirectoryCheck.LEASE.settle(row, due_at=turn.now + AGAIN)
        return True

    def _begin_missing(self, providers: list[str], now: datetime) -> bool:
        """Have rows of those who have signed in since; False: they all have theirs, as far as it looks."""
        found = self._walk.next(ExternalIdentity.objects.select_related("directory_check"), now)
        theirs = [one for one in found if one.provider in providers and not hasattr(one, "directory_check")]
        # Another node may be at it too.
        DirectoryCheck.objects.bulk_create(
            [DirectoryCheck(identity=one, due_at=now) for one in theirs], ignore_conflicts=True
        )
        return bool(theirs) or len(found) == _LOOKED_AT_ONCE


def _follow(identity: ExternalIdentity, person: DirectoryPerson | None) -> None:
    """Do to a user what the directory says of them now."""
    user = identity.user
    if person is None or person.is_disabled:
        _keep_out(user, "gone" if person is None else "disabled")
        return
    try:
        identity_at(identity.provider, person.uid, stable_id=person.stable_id)
    except NameGivenAnew:
        _log.warning("another user has the directory's new name of this one", user=user.username)
    if unblock_by_directory(user, by=SYSTEM):
        _log.info("the directory has this user again", user=user.username)
    settle_admin(user, _claims(person), _terms(person.provider))


def _keep_out(user: User, why: str) -> None:
    try:
        is_blocked = block_by_directory(user, by=SYSTEM)
    except ChangeRefused as exc:
        _log.warning("a user whom the directory has no more is not blocked", user=user.username, reason=str(exc))
        return
    if is_blocked:
        _log.info("blocked, as the directory says", user=user.username, why=why)


def _claims(person: DirectoryPerson) -> IdentityClaims:
    return IdentityClaims(
        uid=person.uid,
        stable_id=person.stable_id,
        username=person.username,
        email=person.email,
        is_email_verified=True,  # Whether that is to be believed, link_by_email says.
        name=person.name,
        groups=person.groups,
    )


def _terms(provider: str) -> AccountTerms:
    keys = settings.MOORAGE.configuration.ldap.used[provider]
    return AccountTerms(
        provider=provider,
        creates_users=True,
        links_by_email=keys.link_by_email,
        admin_groups=frozenset([keys.admin_group] if keys.admin_group else []),
        blocks_new_users=keys.block_auto_created_users,
        ends_own_block=True,
    )
