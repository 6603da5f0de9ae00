"""Users whom a provider of identities vouches for: found, linked, made."""

from dataclasses import dataclass
from itertools import count

from django.db import IntegrityError, transaction
from django.utils.translation import gettext, gettext_noop

from moorage.control.accounts.changes import block_user, change_user, create_user, link_identity, unblock_by_directory
from moorage.control.accounts.identities import NameGivenAnew, identity_at
from moorage.control.accounts.models import ExternalIdentity, User
from moorage.control.accounts.rules import username_problem
from moorage.control.audit.actors import SYSTEM
from moorage.control.namespaces.models import TakenPath
from moorage.control.namespaces.rules import path_of_name
from moorage.control.refusals import ChangeRefused
from moorage.control.sign_in.identity_claims import IdentityClaims
from moorage.errors import Refused
from moorage.telemetry import get_log

_NAME_LIMIT = 200
_TRIES = 100

_log = get_log("control.sign_in")


class StrangerRefused(Refused):
    """Someone whom the provider knows, and for whom there is no account here."""


class _NotMade(StrangerRefused):
    """An account that could not be made: its name or address is not possible, or somebody's since it was looked for."""


BLOCKED = gettext_noop("this account is blocked")
WAITS = gettext_noop("your account is made; an administrator has to let you in first")
NO_ACCOUNT = gettext_noop("there is no account for you here; ask an administrator to make one")
ADDRESS_TAKEN = gettext_noop("another account has your e-mail address; ask an administrator to link it")
NO_NAME = gettext_noop("no name is free for you here; ask an administrator to make the account")


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """Terms on which a provider's people have accounts here."""

    provider: str
    creates_users: bool
    links_by_email: bool
    admin_groups: frozenset[str] = frozenset()
    blocks_new_users: bool = False
    """True: an administrator lets them in."""
    ends_own_block: bool = False
    """True: whom a directory's check has kept out comes in again, as it vouches for them now."""


def user_of_identity(claims: IdentityClaims, terms: AccountTerms) -> User:
    """Return the user whom the provider means, made or linked where the terms allow it.

    Raises:
        StrangerRefused: there is none, or the user is blocked.
    """
    try:
        user = _found(claims, terms)
    except (IntegrityError, ChangeRefused, _NotMade):  # Another request may have made the same user at this moment.
        user = _found(claims, terms)
    if user.is_blocked_by_directory and terms.ends_own_block:
        unblock_by_directory(user, by=SYSTEM)
    if user.is_bot or not user.is_active:
        raise StrangerRefused(BLOCKED if user.last_login else WAITS)
    settle_admin(user, claims, terms)
    return user


def settle_admin(user: User, claims: IdentityClaims, terms: AccountTerms) -> None:
    """Make or unmake an administrator, where groups say who is one."""
    if not terms.admin_groups or claims.groups is None:
        return
    is_admin = not terms.admin_groups.isdisjoint(claims.groups)
    if is_admin != user.is_admin:
        try:
            change_user(user, by=SYSTEM, is_admin=is_admin)
        except ChangeRefused as exc:
            user.refresh_from_db()
            _log.warning("a provider's groups were not followed", user=user.username, reason=str(exc))


@transaction.atomic
def _found(claims: IdentityClaims, terms: AccountTerms) -> User:
    try:
        known = identity_at(terms.provider, claims.uid, stable_id=claims.stable_id)
    except NameGivenAnew as exc:
        raise StrangerRefused(exc.message) from None
    if known is not None:
        return known.user
    other = User.objects.humans().of_address(claims.email).first()
    if other is not None:
        return _linked(other, claims, terms)
    if not terms.creates_users:
        raise StrangerRefused(NO_ACCOUNT)
    return _made(claims, terms)


def _linked(user: User, claims: IdentityClaims, terms: AccountTerms) -> User:
    """Link the user who has the same address, if the provider has seen that it is theirs."""
    is_linked_already = ExternalIdentity.objects.filter(user=user, provider=terms.provider).exists()
    if not (terms.links_by_email and claims.is_email_verified) or is_linked_already:
        raise StrangerRefused(ADDRESS_TAKEN)
    link_identity(user, terms.provider, claims.uid, by=SYSTEM, stable_id=claims.stable_id)
    return user


def _made(claims: IdentityClaims, terms: AccountTerms) -> User:
    # Else who gives another's address here would have an account wait for them, which they are linked to later.
    email = claims.email if claims.is_email_verified else ""
    try:
        user = create_user(_free_username(claims), by=SYSTEM, name=claims.name[:255], email=email)
    except ChangeRefused as exc:
        msg = gettext("no account can be made for you here: %s") % exc
        raise _NotMade(msg) from None
    link_identity(user, terms.provider, claims.uid, by=SYSTEM, stable_id=claims.stable_id)
    if terms.blocks_new_users:
        block_user(user, by=SYSTEM)
    return user


def _free_username(claims: IdentityClaims) -> str:
    wanted = path_of_name(claims.username.partition("@")[0] or claims.email.partition("@")[0] or "user")[:_NAME_LIMIT]
    wanted = wanted if not username_problem(wanted) else f"user-{wanted}".strip("-._")
    if username_problem(wanted):
        wanted = "user"
    for number in count(1):
        name = wanted if number == 1 else f"{wanted}{number}"
        if number > _TRIES:
            raise StrangerRefused(NO_NAME)
        if not User.objects.named(name).exists() and not TakenPath.objects.filter(path=name).exists():
            return name
    raise AssertionError
