"""Users by what providers of identities call them."""

from django.utils.translation import gettext_noop

from moorage.control.accounts.models import ExternalIdentity
from moorage.errors import Refused

UID_LENGTH_LIMIT = 512
NAME_GIVEN_ANEW = gettext_noop(
    "your name in the directory was somebody else's before; ask an administrator to delete that account"
)


class NameGivenAnew(Refused):
    """A provider's name that was somebody else's before, whose account is still here."""


def identity_at(provider: str, uid: str, *, stable_id: str = "") -> ExternalIdentity | None:
    """Return the identity that a provider means, with its user; None: there is none.

    Whoever has moved within a directory is found by *stable_id*, and the new *uid* is written down.

    Raises:
        NameGivenAnew: *uid* is of someone with another *stable_id*.
    """
    rows = ExternalIdentity.objects.filter(provider=provider).select_related("user")
    named = rows.filter(uid=uid).first()
    found = (rows.filter(stable_id=stable_id).first() if stable_id else None) or named
    if found is None or not stable_id or (found.uid, found.stable_id) == (uid, stable_id):
        return found
    if found.stable_id not in ("", stable_id) or named not in (None, found):
        raise NameGivenAnew(NAME_GIVEN_ANEW)
    found.uid, found.stable_id = uid, stable_id
    found.save(update_fields=["uid", "stable_id"])
    return found
