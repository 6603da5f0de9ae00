"""Sign-in by an OpenID Connect provider: one on loopback, asked and answered as a browser does it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from joserfc.jwk import ECKey, OctKey

from moorage.control.accounts.changes import block_user, link_identity
from moorage.control.accounts.models import ExternalIdentity, User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.configured_sign_in import OIDCKeys
from moorage.control.instance.changes import change_settings
from moorage.control.sign_in.external_users import AccountTerms, user_of_identity
from moorage.control.sign_in.identity_claims import IdentityClaims
from moorage.control.sign_in.views.providers import PROVIDER
from support.control_rows import new_user
from support.oidc_provider import CLIENT_ID, CLIENT_SECRET, OIDCProvider, oidc_provider
from support.sign_in_pages import code_of, configured, is_signed_in, with_authenticator

START = "/-/sign-in/oidc"
Configure = Callable[..., None]


@pytest.fixture(scope="module")
def running() -> Iterator[OIDCProvider]:
    """One provider for all tests here."""
    with oidc_provider() as provider:
        yield provider


@pytest.fixture
def provider(running: OIDCProvider) -> Iterator[OIDCProvider]:
    """The provider, which says of everybody that they are Ada."""
    before = {name: value for name, value in vars(running).items() if name != "url"}
    running.claims = {
        "sub": "f7a1",
        "preferred_username": "ada",
        "email": "ada@company.example",
        "email_verified": True,
        "name": "Ada Lovelace",
        "groups": ["staff"],
    }
    yield running
    for name, value in before.items():
        setattr(running, name, type(value)() if isinstance(value, dict | list) else value)


@pytest.fixture
def configure(provider: OIDCProvider) -> Iterator[Configure]:
    """Configure sign-in by the provider, with other keys if they are given."""
    stack = ExitStack()

    def with_keys(**values: object) -> None:
        keys = OIDCKeys(issuer=provider.url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, label="Company")
        before = settings.MOORAGE.configuration.sign_in
        sign_in = before.model_copy(update={"oidc": keys.model_copy(update=values)})
        stack.enter_context(configured(sign_in=sign_in))

    with stack:
        with_keys()
        yield with_keys


def _there(client: Client, then: str = "") -> str:
    answer = client.get(START, {"next": then} if then else {})
    assert answer.status_code == 303
    return answer.headers["Location"]


def _back(client: Client, provider: OIDCProvider, then: str = "") -> HttpResponse:
    """Go to the provider, and come back."""
    address = provider.redirect(_there(client, then))
    assert address.startswith("http://control.test/-/sign-in/oidc/callback?")
    return client.get(address.removeprefix("http://control.test"))  # type: ignore[return-value] # the stubs' own class


def _said(client: Client) -> str:
    return client.get("/-/sign-in").content.decode()


@pytest.mark.usefixtures("configure")
def test_a_first_sign_in_makes_the_account_and_the_next_finds_it(client: Client, provider: OIDCProvider) -> None:
    assert "Continue with Company" in _said(client)
    answer = _back(client, provider, "/-/me/tokens")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/-/me/tokens")
    assert is_signed_in(client)
    user = User.objects.get(username="ada")
    assert (user.name, user.email, user.is_admin) == ("Ada Lovelace", "ada@company.example", False)
    assert user.namespace is not None
    assert not user.has_usable_password()
    provider.claims["email"] = "married@company.example"
    other = Client()
    _back(other, provider)
    assert is_signed_in(other)
    assert User.objects.filter(username__startswith="ada").count() == 1


@pytest.mark.parametrize("odd", ["\0", "\ud800"], ids=ascii)
def test_a_name_that_no_database_keeps_is_no_fault_of_ours(
    client: Client, provider: OIDCProvider, configure: Configure, odd: str
) -> None:
    configure(userinfo=True)
    provider.userinfo = {"sub": "f7a1", "name": f"Ada{odd}", "preferred_username": f"ada{odd}", "groups": [odd]}
    provider.claims = {"sub": "f7a1"}
    _back(client, provider)
    assert is_signed_in(client)
    assert ExternalIdentity.objects.get(uid="f7a1").user.name == "Ada\ufffd"


@pytest.mark.usefixtures("configure")
def test_a_subject_that_no_database_keeps_is_nobody(client: Client, provider: OIDCProvider) -> None:
    """Change nothing in it: two that differ there alone would be one person."""
    provider.claims["sub"] = "f7a1\0"
    _back(client, provider)
    assert not is_signed_in(client)
    assert not ExternalIdentity.objects.exists()


@pytest.mark.usefixtures("configure")
def test_a_name_that_is_taken_gets_a_number(client: Client, provider: OIDCProvider) -> None:
    other = new_user("ada")
    _back(client, provider)
    assert ExternalIdentity.objects.get(uid="f7a1").user.username == "ada2"
    assert not other.identities.exists()


@pytest.mark.usefixtures("configure")
@pytest.mark.parametrize("name", ["Ada Lovelace@COMPANY", "admin", "../..", "", "ä", "x" * 400, "a\0b"])
def test_a_name_that_no_user_can_have_is_made_into_one(client: Client, provider: OIDCProvider, name: str) -> None:
    provider.claims["preferred_username"] = name
    _back(client, provider)
    assert is_signed_in(client)
    assert ExternalIdentity.objects.filter(uid="f7a1", provider=PROVIDER).exists()


def test_an_account_is_taken_by_its_address_only_where_that_is_allowed_and_verified(
    client: Client, provider: OIDCProvider, configure: Configure
) -> None:
    user = new_user("mira")
    provider.claims["email"] = user.email.upper()
    _back(client, provider)
    assert not is_signed_in(client)
    assert "another account has your e-mail address" in _said(client)
    configure(link_by_email=True)
    for verified in (False, "true", None):
        provider.claims["email_verified"] = verified
        _back(client, provider)
        assert not is_signed_in(client)
    provider.claims["email_verified"] = True
    _back(client, provider)
    assert is_signed_in(client)
    assert user.identities.get().uid == "f7a1"


@pytest.mark.usefixtures("configure")
@pytest.mark.parametrize("verified", [False, "true", None])
def test_nobody_has_an_account_wait_under_an_address_that_is_not_seen_to_be_theirs(
    client: Client, provider: OIDCProvider, verified: object
) -> None:
    provider.claims |= {"sub": "mallory", "email": "boss@company.example", "email_verified": verified}
    _back(client, provider)
    assert is_signed_in(client)
    boss = IdentityClaims(uid="uid=boss", username="boss", email="boss@company.example", is_email_verified=True)
    terms = AccountTerms(provider="ldapmain", creates_users=True, links_by_email=True)
    user = user_of_identity(boss, terms)
    assert (user.username, user.email) == ("boss", "boss@company.example")
    assert not user.identities.filter(provider=PROVIDER).exists()


def test_a_second_person_with_the_same_address_does_not_take_the_account(
    client: Client, provider: OIDCProvider, configure: Configure
) -> None:
    configure(link_by_email=True)
    user = new_user()
    link_identity(user, PROVIDER, "the-first", by=COMMAND_LINE)
    provider.claims["email"] = user.email
    _back(client, provider)
    assert not is_signed_in(client)


def test_strangers_stay_out_where_accounts_are_made_by_administrators(
    client: Client, provider: OIDCProvider, configure: Configure
) -> None:
    configure(create_users=False)
    _back(client, provider)
    assert not is_signed_in(client)
    assert "there is no account for you here" in _said(client)
    assert not User.objects.filter(username="ada").exists()


def test_groups_say_who_is_an_administrator(client: Client, provider: OIDCProvider, configure: Configure) -> None:
    new_user(is_admin=True)
    configure(admin_groups=["registry-admins"])
    for groups, expected in ((["registry-admins"], True), (["staff"], False), (["registry-admins"], True), ([], False)):
        provider.claims["groups"] = groups
        _back(client, provider)
        assert User.objects.get(username="ada").is_admin is expected
    provider.claims["groups"] = ["registry-admins"]
    _back(client, provider)
    for nothing in (None, "registry-admins-not", 7):  # No list: nothing is said of groups.
        provider.claims["groups"] = nothing
        _back(client, provider)
        assert User.objects.get(username="ada").is_admin


@pytest.mark.usefixtures("configure")
def test_a_blocked_user_stays_out(client: Client, provider: OIDCProvider) -> None:
    _back(client, provider)
    block_user(User.objects.get(username="ada"), by=COMMAND_LINE)
    _back(client, provider)
    assert not is_signed_in(client)


def test_a_second_factor_here_is_asked_for_unless_the_provider_is_trusted_with_it(
    client: Client, provider: OIDCProvider, configure: Configure
) -> None:
    _back(client, provider)
    with_authenticator(User.objects.get(username="ada"))
    other = Client()
    assert _back(other, provider, "/-/me/tokens").headers["Location"] == "/-/sign-in/second-factor"
    assert not is_signed_in(other)
    assert other.post("/-/sign-in/second-factor", {"code": code_of()}).headers["Location"] == "/-/me/tokens"
    configure(allow_bypass_two_factor=True)
    change_settings(by=COMMAND_LINE, require_two_factor_authentication=True)
    third = Client()
    assert _back(third, provider, "/-/me/tokens").headers["Location"] == "/-/me/tokens"
    assert third.get("/-/me/tokens").status_code == 200


_WRONG_TOKENS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "for another client": {"aud": "another"},
    "over": {"exp": 1_000_000_000},
    "another nonce": {"nonce": "seen-elsewhere"},
    "no nonce": {"nonce": None},
    "nobody": {"sub": ""},
    "too long a subject": {"sub": "x" * 256},
}


@pytest.mark.usefixtures("configure")
@pytest.mark.parametrize("wrong", _WRONG_TOKENS.values(), ids=_WRONG_TOKENS)
def test_a_token_that_is_not_right_signs_nobody_in(
    client: Client, provider: OIDCProvider, wrong: dict[str, Any]
) -> None:
    provider.token_changes = wrong
    _back(client, provider)
    assert not is_signed_in(client)
    assert "the provider did not answer as it should" in _said(client)
    assert not ExternalIdentity.objects.exists()


@pytest.mark.usefixtures("configure")
def test_a_token_signed_by_another_key_or_by_our_own_secret_signs_nobody_in(
    client: Client, provider: OIDCProvider
) -> None:
    other = ECKey.generate_key("P-256", parameters={"kid": str(provider.key.kid)})
    for key in (other, OctKey.import_key(CLIENT_SECRET)):
        provider.signs_with = key
        _back(client, provider)
        assert not is_signed_in(client)


@pytest.mark.usefixtures("configure")
def test_userinfo_about_another_person_is_not_taken(client: Client, provider: OIDCProvider) -> None:
    provider.userinfo = {"sub": "somebody-else", "email": "victim@company.example"}
    _back(client, provider)
    assert not is_signed_in(client)


@pytest.mark.usefixtures("configure")
def test_userinfo_adds_what_the_token_has_not(client: Client, provider: OIDCProvider) -> None:
    del provider.claims["preferred_username"]
    provider.userinfo = {"preferred_username": "byron", "email": "not-taken@company.example"}
    _back(client, provider)
    assert User.objects.get(username="byron").email == "ada@company.example"


@pytest.mark.usefixtures("configure")
def test_an_answer_that_another_browser_asked_for_is_not_taken(client: Client, provider: OIDCProvider) -> None:
    planted = provider.redirect(_there(Client())).removeprefix("http://control.test")
    client.get(planted)
    assert not is_signed_in(client)
    _there(client)
    client.get(planted)
    assert not is_signed_in(client)
    assert "began in another browser" in _said(client)


@pytest.mark.usefixtures("configure")
def test_an_answer_is_taken_once(client: Client, provider: OIDCProvider) -> None:
    address = provider.redirect(_there(client)).removeprefix("http://control.test")
    kept = client.cookies["_moorage_oidc"].value
    client.get(address)
    assert is_signed_in(client)
    other = Client()
    other.cookies["_moorage_oidc"] = kept
    other.get(address)
    assert not is_signed_in(other)


@pytest.mark.usefixtures("configure")
def test_a_refusal_of_the_provider_is_said_without_its_words(client: Client, provider: OIDCProvider) -> None:
    address = provider.redirect(_there(client)).removeprefix("http://control.test")
    state = address.partition("state=")[2]
    client.get(f"{START}/callback", {"state": state, "error": "access_denied", "error_description": "<b>planted</b>"})
    text = _said(client)
    assert "The provider did not sign you in" in text
    assert "planted" not in text


@pytest.mark.usefixtures("configure")
@pytest.mark.parametrize("then", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_a_way_through_the_provider_leads_to_no_other_site(client: Client, provider: OIDCProvider, then: str) -> None:
    assert _back(client, provider, then).headers["Location"] == "/"


@pytest.mark.usefixtures("configure")
def test_strangers_who_start_fill_no_table_and_their_cookie_is_for_the_way_only(client: Client) -> None:
    _there(client)
    assert settings.SESSION_COOKIE_NAME not in client.cookies
    cookie = client.cookies["_moorage_oidc"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", START)
    assert CLIENT_SECRET not in cookie.value


def test_a_provider_that_does_not_answer_is_said_and_other_ways_stay(client: Client, configure: Configure) -> None:
    configure(issuer="http://127.0.0.1:9")
    assert client.get(START).headers["Location"] == "/-/sign-in"
    assert "the provider did not answer" in _said(client)


def test_a_document_that_names_another_issuer_is_not_believed(
    client: Client, provider: OIDCProvider, configure: Configure
) -> None:
    provider.document_changes = {"issuer": "https://evil.example"}
    configure(client_id="never-asked-before")  # Else the document is known already.
    assert client.get(START).headers["Location"] == "/-/sign-in"
    assert "the provider did not answer" in _said(client)


def test_without_a_provider_its_pages_are_not_there(client: Client) -> None:
    assert client.get(START).status_code == 404
    assert client.get(f"{START}/callback").status_code == 404
    assert "Continue with" not in _said(client)
