"""Changes of users: each is whole or not at all, with its audit row. Who may ask for it is decided by callers."""

from contextlib import suppress

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone

from moorage.control.accounts.models import ExternalIdentity, User, UserKind, UserRows, UserState
from moorage.control.accounts.rules import username_problem
from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.namespaces.changes import create_namespace, delete_namespace
from moorage.control.namespaces.models import NamespaceKind
from moorage.control.refusals import ChangeRefused, refused
from moorage.control.written_once import checked_again

USER_LEAVES = Signal()
"""Sent in the transaction in which a person is deleted, with ``user``; who hears of it may refuse."""
INITIAL_PASSWORD_NAME = "initial_password"  # noqa: S105 - a file's name
"""File beside ``control.yml`` with the first administrator's password, until it is changed."""


@transaction.atomic
def create_user(
    username: str,
    *,
    by: Actor,
    password: str | None = None,
    name: str = "",
    email: str = "",
    is_admin: bool = False,
) -> User:
    """Make a person, with the namespace for their projects; *password* None: they sign in elsewhere.

    Raises:
        ChangeRefused: a value is not possible, or the name or the address is somebody's.
    """
    user = User(username=username, name=name or username, email=email, is_admin=is_admin)
    with checked_again(lambda: _check(user)):
        if password is not None:
            _check_password(password, user)
        user.set_password(password)
        user.namespace = create_namespace(NamespaceKind.USER, username, by=by, name=user.name)
        user.save()
    record("user_created", user, by=by, is_admin=is_admin)
    return user


@transaction.atomic
def create_bot(username: str, kind: UserKind, *, by: Actor, name: str) -> User:
    """Make the bot behind a token: it has no password and no namespace."""
    bot = User(username=username, name=name, kind=kind)
    bot.set_unusable_password()
    bot.save()
    record("bot_created", bot, by=by)
    return bot


@transaction.atomic
def delete_bots(bots: UserRows, *, by: Actor) -> None:
    """Delete those of *bots* that are bots, with their tokens: the place that they are of is gone for them."""
    for bot in bots.exclude(kind=UserKind.HUMAN):
        record("bot_deleted", bot, by=by)
        bot.delete()


@transaction.atomic
def change_user(user: User, *, by: Actor, **values: object) -> User:
    """Change a user's name, address (``email``) or ``is_admin``.

    Raises:
        ChangeRefused: a value is not possible, or would leave no administrator.
    """
    before = {field: getattr(user, field) for field in values}
    for field, value in values.items():
        if field not in {"name", "email", "is_admin"}:
            raise refused(field, "cannot be changed")
        setattr(user, field, value)
    with checked_again(lambda: _check(user)):
        if before.get("is_admin") and not user.is_admin:
            _keep_an_administrator(user)
        user.save(update_fields=list(values))
    changed = {field: [before[field], value] for field, value in values.items() if before[field] != value}
    if changed:
        record("user_changed", user, by=by, **changed)
    return user


@transaction.atomic
def change_password(user: User, password: str, *, by: Actor) -> None:
    """Give a user another password. Sessions end with it, as they are signed with its hash.

    Raises:
        ChangeRefused: the password is too easy.
    """
    _check_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    record("password_changed", user, by=by)
    if user.is_admin:
        transaction.on_commit(_remove_initial_password)


@transaction.atomic
def block_user(user: User, *, by: Actor) -> None:
    """Keep a user out: sign-in, sessions and tokens end with the next request.

    Raises:
        ChangeRefused: it is the last administrator.
    """
    _block(user, UserState.BLOCKED, by=by)


@transaction.atomic
def unblock_user(user: User, *, by: Actor) -> None:
    """Let a user in again.

    Raises:
        ChangeRefused: a directory keeps them out, which alone ends that. Source: decision 86.
    """
    if _state_now(user) == UserState.LDAP_BLOCKED:
        raise refused("base", "is blocked by the directory, which lets them in again")
    _let_in(user, by=by)


@transaction.atomic
def block_by_directory(user: User, *, by: Actor) -> bool:
    """Keep out whom a directory has no more; False: they are out already, and whoever has blocked them ends that.

    Raises:
        ChangeRefused: it is the last administrator.
    """
    if _state_now(user) != UserState.ACTIVE:
        return False
    _block(user, UserState.LDAP_BLOCKED, by=by)
    return True


@transaction.atomic
def unblock_by_directory(user: User, *, by: Actor) -> bool:
    """Let in again whom a directory has kept out; False: it does not any more, or somebody else does."""
    if _state_now(user) != UserState.LDAP_BLOCKED:
        return False
    _let_in(user, by=by)
    return True


@transaction.atomic
def delete_user(user: User, *, by: Actor) -> None:
    """Delete a user who has no projects left, with all tokens and memberships.

    Raises:
        ChangeRefused: there are projects in the user's namespace, or it is the last administrator, or a group would be
            nobody's.
    """
    if user.is_admin:
        _keep_an_administrator(user)
    namespace = user.namespace
    if namespace is not None and namespace.projects.exists():
        raise refused("base", "has projects; delete or transfer them first")
    USER_LEAVES.send(User, user=user)
    record("user_deleted", user, by=by)
    user.delete()
    if namespace is not None:
        delete_namespace(namespace, by=by)


@transaction.atomic
def link_identity(user: User, provider: str, uid: str, *, by: Actor, stable_id: str = "") -> ExternalIdentity:
    """Let *user* sign in as *uid* of *provider*.

    *stable_id*: as at ``ExternalIdentity``.

    Raises:
        ChangeRefused: that is another user's.
    """

    def see_that_it_is_nobodys() -> None:
        if ExternalIdentity.objects.filter(provider=provider, uid=uid).exclude(user=user).exists():
            raise refused("extern_uid", "has already been taken")

    with checked_again(see_that_it_is_nobodys):
        found, _ = ExternalIdentity.objects.update_or_create(
            user=user, provider=provider, defaults={"uid": uid, "stable_id": stable_id}
        )
    record("identity_linked", user, by=by, provider=provider)
    return found


def note_sign_in(user: User, *, by: Actor) -> None:
    """Write down that a user has signed in."""
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(last_login=timezone.now())
        record("signed_in", user, by=by)


def _state_now(user: User) -> str:
    """Hold a user's row, and read the state: somebody may have changed it since it was read."""
    user.state = User.objects.select_for_update().values_list("state", flat=True).get(pk=user.pk)
    return user.state


def _block(user: User, state: UserState, *, by: Actor) -> None:
    if user.is_admin:
        _keep_an_administrator(user)
    user.state = state
    user.save(update_fields=["state"])
    record("user_blocked", user, by=by, state=str(state))


def _let_in(user: User, *, by: Actor) -> None:
    user.state = UserState.ACTIVE
    user.save(update_fields=["state"])
    record("user_unblocked", user, by=by)


def _check(user: User) -> None:
    problems: dict[str, list[str]] = {}
    if not user.is_bot and (problem := username_problem(user.username)):
        problems["username"] = [problem]
    elif User.objects.named(user.username).exclude(pk=user.pk).exists():
        problems["username"] = ["has already been taken"]
    if user.email:
        try:
            validate_email(user.email)
        except ValidationError:
            problems["email"] = ["is invalid"]
        if User.objects.of_address(user.email).exclude(pk=user.pk).exists():
            problems["email"] = ["has already been taken"]
    if problems:
        raise ChangeRefused(problems)


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as exc:
        raise ChangeRefused({"password": [message.rstrip(".") for message in exc.messages]}) from None


def _keep_an_administrator(user: User) -> None:
    # Held, so that of two who leave at once the second sees that the first has.
    admins = User.objects.humans().filter(is_admin=True, state=UserState.ACTIVE).select_for_update().order_by("pk")
    if not any(one.pk != user.pk for one in admins):
        raise refused("base", "is the last administrator")


def _remove_initial_password() -> None:
    with suppress(OSError):
        (settings.MOORAGE.folder / INITIAL_PASSWORD_NAME).unlink()
