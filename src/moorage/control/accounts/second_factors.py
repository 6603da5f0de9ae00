"""Second factors: made, checked, taken away; and what a password alone still opens."""

import base64
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from moorage.control.accounts.models import FactorKind, SecondFactor, User
from moorage.control.accounts.one_time_codes import digest_of_recovery, new_recovery_codes, step_of_code
from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.instance.models import ApplicationSettings
from moorage.control.refusals import refused
from moorage.control.written_once import checked_again

KEYS_LIMIT = 20
"""Security keys of one user."""
CODE_LENGTH_LIMIT = 64


def has_second_factor(user: User) -> bool:
    """Return whether sign-in asks *user* for more than a password."""
    return user.second_factors.exclude(kind=FactorKind.RECOVERY).exists()


def needs_second_factor(user: User) -> bool:
    """Return whether *user* has to set one up, as the instance asks for it and there is none."""
    return ApplicationSettings.now().require_two_factor_authentication and not has_second_factor(user)


def accepts_password_for_git(user: User) -> bool:
    """Return whether the password of *user* opens the registry: not where a second factor is there, or has to be.

    Source: GitLab features TKN-005.
    """
    return not has_second_factor(user) and not ApplicationSettings.now().require_two_factor_authentication


@transaction.atomic
def add_totp(user: User, key: bytes, code: str, *, by: Actor) -> SecondFactor:
    """Keep the key of an authenticator that has shown *code*.

    Raises:
        ChangeRefused: the code is not of this key, or there is an authenticator already.
    """
    step = step_of_code(key, code, time.time())
    if step is None:
        raise refused("code", "is not the one that this key makes now")
    _hold(user)
    if user.second_factors.filter(kind=FactorKind.TOTP).exists():
        raise refused("base", "an authenticator is set up already; take it away first")
    found = SecondFactor.objects.create(
        user=user, kind=FactorKind.TOTP, name="authenticator", data=_sealed(key), last_step=step
    )
    record("second_factor_added", found, by=by, kind=found.kind)
    return found


@transaction.atomic
def add_security_key(user: User, name: str, *, credential_id: str, public: str, by: Actor) -> SecondFactor:
    """Keep the public part of a security key.

    Raises:
        ChangeRefused: there is no name, it is known already, or there are too many.
    """
    if not name.strip():
        raise refused("name", "can't be blank")
    _hold(user)
    if user.second_factors.filter(kind=FactorKind.WEBAUTHN).count() >= KEYS_LIMIT:
        raise refused("base", f"there are {KEYS_LIMIT} security keys already; take one away first")

    def see_that_it_is_new() -> None:
        if SecondFactor.objects.filter(credential_id=credential_id).exists():
            raise refused("base", "this security key is in use already")

    with checked_again(see_that_it_is_new):  # Another user may register it too.
        found = SecondFactor.objects.create(
            user=user, kind=FactorKind.WEBAUTHN, name=name.strip()[:255], data=public, credential_id=credential_id
        )
    record("second_factor_added", found, by=by, kind=found.kind)
    return found


@transaction.atomic
def renew_recovery_codes(user: User, *, by: Actor) -> Sequence[str]:
    """Make recovery codes in the place of those there were, and return them; they are kept nowhere else."""
    codes = new_recovery_codes()
    data = "\n".join(digest_of_recovery(code) for code in codes)
    values = {"name": "recovery codes", "data": data, "last_used_at": None}
    found, _ = SecondFactor.objects.update_or_create(user=user, kind=FactorKind.RECOVERY, defaults=values)
    record("recovery_codes_made", found, by=by)
    return codes


def recovery_codes_left(user: User) -> int:
    """Return how many recovery codes were not used."""
    found = user.second_factors.filter(kind=FactorKind.RECOVERY).first()
    return len(found.data.split()) if found is not None else 0


@transaction.atomic
def remove_factor(user: User, number: int, *, by: Actor) -> None:
    """Take a second factor away; with the last one the recovery codes go.

    Raises:
        ChangeRefused: the user has no such factor.
    """
    found = user.second_factors.exclude(kind=FactorKind.RECOVERY).filter(pk=number).first()
    if found is None:
        raise refused("base", "there is no such second factor")
    record("second_factor_removed", found, by=by, kind=found.kind)
    found.delete()
    if not has_second_factor(user):
        user.second_factors.all().delete()


@transaction.atomic
def remove_all_factors(user: User, *, by: Actor) -> int:
    """Take all second factors of a user away, who has lost them; return how many there were."""
    count = user.second_factors.exclude(kind=FactorKind.RECOVERY).count()
    user.second_factors.all().delete()
    if count:
        record("second_factors_disabled", user, by=by, count=count)
    return count


def is_code_right(user: User, code: str) -> bool:
    """Check a code of the user's authenticator, or one of the recovery codes; each is right once."""
    if len(code) > CODE_LENGTH_LIMIT:
        return False
    return _is_totp_right(user, code) or _takes_recovery(user, code)


def _is_totp_right(user: User, code: str) -> bool:
    found = user.second_factors.filter(kind=FactorKind.TOTP).first()
    key = _opened(found.data) if found is not None else None
    if found is None or key is None:
        return False
    step = step_of_code(key, code, time.time(), after=found.last_step)
    if step is None:
        return False
    # Of two requests with the same code, one gets it.
    rows = SecondFactor.objects.filter(pk=found.pk, last_step__lt=step)
    return rows.update(last_step=step, last_used_at=timezone.now()) == 1


@transaction.atomic
def _takes_recovery(user: User, code: str) -> bool:
    found = user.second_factors.select_for_update().filter(kind=FactorKind.RECOVERY).first()
    digests = found.data.split() if found is not None else []
    digest = digest_of_recovery(code)
    if found is None or digest not in digests:
        return False
    digests.remove(digest)
    found.data, found.last_used_at = "\n".join(digests), timezone.now()
    found.save(update_fields=["data", "last_used_at"])
    record("recovery_code_used", found, by=user.as_actor(), left=len(digests))
    return True


def uses_of_security_keys(user: User) -> dict[str, str]:
    """Return when each security key of *user* was used last, by its number; empty: never."""
    rows = user.second_factors.filter(kind=FactorKind.WEBAUTHN).values_list("pk", "last_used_at")
    return {str(number): "" if at is None else at.isoformat() for number, at in rows}


def note_security_key(factor: SecondFactor, counter: int, *, before: str) -> bool:
    """Write down a use of a security key; False: it is not taken.

    Its counter did not go up, so that there may be a copy of it; or it was used since it was asked, when its last use
    was *before*, as :func:`uses_of_security_keys` has it: then its answer may have been sent twice.

    Source: Web Authentication level 3, § 7.2, step 22.
    """
    seen = SecondFactor.objects.filter(pk=factor.pk, last_used_at=datetime.fromisoformat(before) if before else None)
    # One statement: of two requests with the same answer, one finds the row as it was.
    new = seen.filter(last_step__lt=counter) if counter else seen.filter(last_step=0)
    return new.update(last_step=counter, last_used_at=timezone.now()) == 1


def _hold(user: User) -> None:
    """Have others who change the factors of *user* wait for the end of the transaction."""
    User.objects.select_for_update().get(pk=user.pk)


def _sealed(key: bytes) -> str:
    return _box().encrypt(key).decode()


def _opened(text: str) -> bytes | None:
    """The key; None: it was sealed with another ``secret``."""
    with suppress(InvalidToken):
        return _box().decrypt(text)
    return None


def _box() -> Fernet:
    derived = HKDF(SHA256(), 32, None, b"moorage second factors").derive(settings.SECRET_KEY.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
