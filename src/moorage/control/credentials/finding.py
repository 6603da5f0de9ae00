"""A name and a secret, or a token alone, turned into the one who is behind them.

Tokens are found by their digest: a database's index tells nothing of the rest of a secret by its time. What fails says
the same, and takes as long, whether there is such a user or not.
"""

import base64
import binascii
from collections.abc import Callable, Sequence

from django.utils import timezone

from moorage.control.accounts.identities import NameGivenAnew, identity_at
from moorage.control.accounts.models import PersonalAccessToken, User, UserRows, UserState
from moorage.control.accounts.passwords import CHECKS, PASSWORD_LENGTH_LIMIT
from moorage.control.accounts.rules import (
    DEPLOY_PREFIX,
    JOB_PREFIX,
    PERSONAL_PREFIX,
    TokenScope,
    is_use_news,
)
from moorage.control.accounts.second_factors import accepts_password_for_git
from moorage.control.accounts.token_secrets import SECRET_LENGTH_LIMIT, digest_of
from moorage.control.credentials.guesses import GUESSES
from moorage.control.ldap.directories import directories, named_in, person_of_password
from moorage.control.ldap.people import DirectoryPerson
from moorage.control.prepared import PreparedQuery
from moorage.control.projects.models import DeployToken, JobToken
from moorage.control.projects.requesters import Requester
from moorage.control.projects.rules import CredentialKind
from moorage.control.refusals import AccountNeeded, CredentialsRefused, PersonalTokenNeeded

JOB_USERNAME = "gitlab-ci-token"
"""The user's name that goes with a job's token."""

LOGIN_LENGTH_LIMIT = 255
"""Characters of a name or an address."""

_PREFIXES = (PERSONAL_PREFIX, DEPLOY_PREFIX, JOB_PREFIX)
_HEADER_LIMIT = 8192
_PERSONAL_TOKEN = PreparedQuery[PersonalAccessToken](
    lambda digest: PersonalAccessToken.objects.filter(digest=digest).select_related("user")
)


class _Attempt:
    """One password that came, and the account that it counts for."""

    def __init__(self, login: str, password: str, address: str) -> None:
        self.password = password
        self.address = address
        self._account = login[:LOGIN_LENGTH_LIMIT].lower()

    def see_that_it_is_open(self) -> None:
        GUESSES.see_that_it_is_open(self.address, account=self._account)

    def count_for(self, person: DirectoryPerson) -> None:
        """Count it for *person*: a directory finds them by many spellings, and each must not have tries of its own."""
        self._account = f"{person.provider} {person.uid}"
        self.see_that_it_is_open()

    def note(self, *, is_right: bool) -> None:
        (GUESSES.note_right if is_right else GUESSES.note_wrong)(self.address, account=self._account)


def requester_of_basic(username: str, secret: str, *, address: str) -> Requester:
    """Return who *username* with *secret* is: a password, or a token of any kind.

    With a personal token the name does not matter, as in GitLab; with a deploy token it is the token's own.

    Raises:
        CredentialsRefused: it is nobody.
        PersonalTokenNeeded: the password is right, but not enough: there is a second factor, or has to be.
        AccountNeeded: the password is right in a directory, of someone who has not signed in yet.
        PasswordChangeNeeded: the password is right in a directory, which takes it no more.
        DirectoryUnavailable: a directory had to be asked and did not answer.
        TooManyRequests: too many passwords are being checked, or this address guesses. Nothing was checked.
    """
    found = _of_token(secret, address, username=username)
    if found is None and not secret.startswith(_PREFIXES):
        found = _of_password(username, secret, address)
    if found is None:
        raise _denied()
    return found


def user_of_password(login: str, password: str, *, address: str) -> User | None:
    """Return the user whose name or address *login* is, and whose password of ours is *password*; None: nobody.

    Raises:
        TooManyRequests: as ``requester_of_basic``.
    """
    user = _of_login(login).filter(state=UserState.ACTIVE).first()
    found = _checked(_Attempt(login, password, address), user, lambda: None, is_ours=True)
    return found if isinstance(found, User) else None


def known_by_password(login: str, password: str, *, address: str) -> User | DirectoryPerson | None:
    r"""Return who *login* with *password* is: a user by a password of ours, or someone whom a directory vouches for.

    A password of ours goes to no directory: one is asked only about users who sign in by it, who have no password here,
    or who are none yet. ``id\name`` is *name* at that directory, whatever users are called.

    Raises:
        DirectoryUnavailable: it had to be asked, and did not answer.
        PasswordChangeNeeded: the password is right there, but taken no more. It counts as no guess.
        TooManyRequests: as ``requester_of_basic``.
    """
    provider, name = named_in(login)
    user = None if provider else _of_login(login).first()
    providers = [provider] if provider else _providers_of(user, login)
    ours = user if user is not None and user.is_active and user.has_usable_password() else None

    attempt = _Attempt(login, password, address)

    def ask() -> DirectoryPerson | None:
        is_possible = bool(providers) and len(password) <= PASSWORD_LENGTH_LIMIT
        return person_of_password(name, password, providers, see=attempt.count_for) if is_possible else None

    return _checked(attempt, ours, ask, is_ours=not providers or ours is not None)


def requester_of_token(secret: str, *, address: str) -> Requester:
    """Return who a ``Bearer`` or ``PRIVATE-TOKEN`` value is of.

    Raises:
        CredentialsRefused: it is nobody's.
    """
    found = _of_token(secret, address, username=None)
    if found is None:
        raise _denied()
    return found


def basic_of(header: str) -> tuple[str, str] | None:
    """Return the name and the secret of an ``Authorization: Basic`` header; None if it is none, or cannot be read.

    Source: RFC 7617 § 2.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic" or len(header) > _HEADER_LIMIT:
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (ValueError, binascii.Error):
        return None
    username, colon, secret = text.partition(":")
    return (username, secret) if colon else None


def _of_token(secret: str, address: str, *, username: str | None) -> Requester | None:
    if not secret or len(secret) > SECRET_LENGTH_LIMIT or "\0" in secret:
        return None
    if secret.startswith(PERSONAL_PREFIX):
        return _of_personal_token(secret, address)
    if secret.startswith(DEPLOY_PREFIX):
        return _of_deploy_token(secret, address, username)
    if secret.startswith(JOB_PREFIX):
        return _of_job_token(secret, address, username)
    return None


def _of_personal_token(secret: str, address: str) -> Requester | None:
    now = timezone.now()
    token = next(iter(_PERSONAL_TOKEN.rows(digest_of(secret))), None)
    if token is None or not token.is_usable(now.date()) or not token.user.is_active:
        return None
    if is_use_news(token.last_used_at, now):
        PersonalAccessToken.objects.note_use(token.pk, now)
    return Requester(
        credential=CredentialKind.PERSONAL_TOKEN,
        user=token.user,
        scopes=_scopes(token.scopes),
        token=token,
        address=address,
    )


def _of_deploy_token(secret: str, address: str, username: str | None) -> Requester | None:
    now = timezone.now()
    token = DeployToken.objects.usable(now).of_secret(secret).select_related("project", "namespace").first()
    if token is None or (username is not None and username != token.username):
        return None
    if is_use_news(token.last_used_at, now):
        DeployToken.objects.note_use(token.pk, now)
    return Requester(
        credential=CredentialKind.DEPLOY_TOKEN, scopes=_scopes(token.scopes), deploy_token=token, address=address
    )


def _of_job_token(secret: str, address: str, username: str | None) -> Requester | None:
    found = JobToken.objects.usable(timezone.now()).of_secret(secret).select_related("user", "project")
    token = found.first()
    if token is None or not token.user.is_active or username not in (None, JOB_USERNAME):
        return None
    return Requester(credential=CredentialKind.JOB_TOKEN, user=token.user, job_token=token, address=address)


def _of_password(username: str, password: str, address: str) -> Requester | None:
    found = known_by_password(username, password, address=address)
    user = _user_of_person(found) if isinstance(found, DirectoryPerson) else found
    if user is None or not user.is_active:
        return None
    if not accepts_password_for_git(user):
        msg = "the password of this account is not enough: use a personal access token"
        raise PersonalTokenNeeded(msg)
    return Requester(credential=CredentialKind.PASSWORD, user=user, address=address)


def _of_login(login: str) -> UserRows:
    if "\0" in login or len(login) > LOGIN_LENGTH_LIMIT:
        found: UserRows = User.objects.none()
    else:
        found = User.objects.humans().of_login(login)
    return found


def _providers_of(user: User | None, login: str) -> Sequence[str]:
    """The directories to ask about *user*; none where only a password of ours counts."""
    configured = directories()
    if not configured or not login or "\0" in login or len(login) > LOGIN_LENGTH_LIMIT:
        return []
    if user is None:
        return list(configured)
    own = set(user.identities.values_list("provider", flat=True)) & set(configured)
    if own or user.has_usable_password():
        return [provider for provider in configured if provider in own]
    return list(configured)


def _checked(
    attempt: _Attempt, user: User | None, ask: Callable[[], DirectoryPerson | None], *, is_ours: bool
) -> User | DirectoryPerson | None:
    """Check a password, ours first if *is_ours*, and count what came of it once."""
    hashed = user.password if user is not None and user.has_usable_password() else None
    if hashed is not None and CHECKS.was_right(hashed, attempt.password):
        return user
    attempt.see_that_it_is_open()
    # Where there is no such user it takes as long.
    is_right = is_ours and CHECKS.is_right(hashed, attempt.password, is_known=GUESSES.is_known(attempt.address))
    found = user if is_right else ask()
    attempt.note(is_right=found is not None)
    return found


def _user_of_person(person: DirectoryPerson) -> User:
    """The user whom a directory means. Source: as GitLab, the registry's clients make no account."""
    try:
        found = identity_at(person.provider, person.uid, stable_id=person.stable_id)
    except NameGivenAnew:
        found = None
    if found is None:
        msg = "sign in at the pages once, which makes the account"
        raise AccountNeeded(msg)
    return found.user


def _scopes(words: list[str]) -> frozenset[TokenScope]:
    return frozenset(TokenScope(word) for word in words if word in set(TokenScope))


def _denied() -> CredentialsRefused:
    return CredentialsRefused("the user, the password or the token is wrong")
