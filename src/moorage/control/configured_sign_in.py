"""``control.yml``'s ``sign_in``: how people sign in."""

from collections.abc import Callable, Iterator
from typing import Annotated

from pydantic import Field

from moorage.config.section import Flag, Secret, Text, Whole, now
from moorage.control.configured_values import ControlSection, http_url
from moorage.errors import Mistake

MINUTES_LIMIT = 525_600


class OIDCKeys(ControlSection):
    """``sign_in.oidc``: a provider of identities that speaks OpenID Connect."""

    issuer: Text = now("", "The provider's URL, as its own document has it; empty: there is no provider.")
    client_id: Text = now("", "Name that the provider has given to Moorage.")
    client_secret: Secret = now("", "Secret that the provider has given to Moorage.")
    client_secretfile: Text = now("", "File that has it.")
    label: Text = now("single sign-on", "Name of the provider on the sign-in page.")
    scopes: Text = now("openid profile email", "Scopes that are asked for, with spaces between; `openid` among them.")
    userinfo: Flag = now(True, "True: the provider's userinfo is asked too, for what is not in the token.")
    username_claim: Text = now("preferred_username", "Claim that a new user's name is made of.")
    create_users: Flag = now(True, "True: whoever signs in for the first time gets an account.")
    link_by_email: Flag = now(
        False, "True: an account with the same e-mail address is taken, if the provider says that it is verified."
    )
    groups_claim: Text = now("groups", "Claim that lists a person's groups.")
    admin_groups: list[str] = now(
        [], "Groups whose members are administrators, and nobody else that it signs in; empty: it does not say who is."
    )
    allow_bypass_two_factor: Flag = now(
        False, "True: whoever it signs in is asked for no second factor here, as the provider has asked."
    )

    @property
    def is_on(self) -> bool:
        """True if people can sign in by it."""
        return bool(self.issuer)


class SignInKeys(ControlSection):
    """``sign_in``: how people sign in, and for how long."""

    session_idle: Annotated[Whole, Field(ge=1, le=MINUTES_LIMIT)] = now(
        10_080, "Minutes without a request after which a session is over."
    )
    session_limit: Annotated[Whole, Field(ge=1, le=MINUTES_LIMIT)] = now(
        43_200, "Minutes after which a session is over in any case."
    )
    oidc: OIDCKeys = now(OIDCKeys, "OpenID Connect.")


def settled_sign_in(found: SignInKeys, secret: Callable[[str, str, str], str]) -> SignInKeys:
    """Return *found* with secrets in place of the files that have them."""
    oidc = found.oidc
    value = secret("sign_in.oidc.client_secret", oidc.client_secret, oidc.client_secretfile)
    return found.model_copy(update={"oidc": oidc.model_copy(update={"client_secret": value})})


def checked_sign_in(found: SignInKeys) -> Iterator[Mistake]:
    """Find what one key alone does not show."""
    if found.session_idle > found.session_limit:
        yield Mistake("sign_in.session_idle", "is longer than sign_in.session_limit, and would never be reached")
    oidc = found.oidc
    if not oidc.is_on:
        given = oidc.model_fields_set - {"issuer", "label"}
        if any(getattr(oidc, name) for name in given):
            yield Mistake("sign_in.oidc.issuer", "is needed with the other keys of sign_in.oidc")
        return
    yield from http_url("sign_in.oidc.issuer", oidc.issuer)
    for name in ("client_id", "client_secret"):
        if not getattr(oidc, name):
            yield Mistake(f"sign_in.oidc.{name}", "is needed with sign_in.oidc.issuer")
    if "openid" not in oidc.scopes.split():
        yield Mistake("sign_in.oidc.scopes", "has to have openid, or nobody is named")
    for name in ("label", "username_claim", "groups_claim"):
        if not getattr(oidc, name):
            yield Mistake(f"sign_in.oidc.{name}", "must not be empty")
