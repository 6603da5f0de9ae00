"""Sign-in by a password, and everything around it: sessions, ways on, guessing, sign-out."""

import logging
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client, override_settings
from django.utils import timezone

from moorage.control.accounts.changes import INITIAL_PASSWORD_NAME, block_user
from moorage.control.accounts.models import User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.configuration import ControlConfiguration, ControlHTTP
from moorage.control.credentials import finding
from moorage.control.credentials.guesses import Guesses
from moorage.control.projects.rules import AccessLevel
from moorage.control.sign_in.models import SignedInSession
from support.control_rows import PASSWORD, new_bot_token, new_project, new_user
from support.control_tokens import ask
from support.sign_in_pages import csrf_of, is_signed_in, session_key, sign_in

NEW_PASSWORD = "quite-another-Tr0ub4dor"


def test_a_user_signs_in_by_name_or_address_whatever_their_case(client: Client) -> None:
    user = new_user(password=PASSWORD)
    for login in (user.username, user.username.upper(), user.email, user.email.upper()):
        answer = sign_in(client, login)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        assert is_signed_in(client)
        client.post("/-/sign-out")
        assert not is_signed_in(client)
    assert AuditEntry.objects.filter(action="signed_in", target_id=user.pk).count() == 4


def test_whatever_is_wrong_the_answer_is_the_same(client: Client) -> None:
    right, blocked, without = new_user(password=PASSWORD), new_user(password=PASSWORD), new_user()
    block_user(blocked, by=COMMAND_LINE)
    bot = new_bot_token(new_project(), AccessLevel.MAINTAINER).token.user
    for login, password in (
        (right.username, "wrong"),
        (blocked.username, PASSWORD),
        (without.username, ""),
        (without.username, PASSWORD),
        ("nobody-at-all", PASSWORD),
        ("nobody@example.com", PASSWORD),
        (bot.username, PASSWORD),
        ("nul\0", PASSWORD),
        (right.username, PASSWORD + "\0"),
    ):
        answer = Client(REMOTE_ADDR=f"10.{abs(hash(login)) % 250}.{len(password)}.7").post(
            "/-/sign-in", {"login": login, "password": password}
        )
        assert answer.status_code in (200, 401), login
        assert "aria-invalid" in answer.content.decode()
        assert password not in answer.content.decode() or not password


def test_a_token_is_no_password_of_the_form(client: Client) -> None:
    bot = new_bot_token(new_project(), AccessLevel.MAINTAINER)
    assert sign_in(client, bot.token.user.username, bot.secret).status_code == 401
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    "then",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "///evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "/\n/evil.example",
        "evil",
        "/" + "a" * 3000,
        "",
    ],
)
def test_nobody_is_led_to_another_site(client: Client, then: str) -> None:
    user = new_user(password=PASSWORD)
    assert sign_in(client, user, next=then).headers["Location"] == "/"
    assert client.get("/-/sign-in", {"next": then}).headers["Location"] == "/"  # Signed in already.


def test_sign_in_leads_to_where_one_wanted_to_be(client: Client) -> None:
    user = new_user(password=PASSWORD)
    assert client.get("/-/me/tokens").headers["Location"] == "/-/sign-in?next=%2F-%2Fme%2Ftokens"
    page = client.get("/-/sign-in?next=/a/b%3Fc=d")
    assert 'name="next" value="/a/b?c=d"' in page.content.decode()
    assert sign_in(client, user, next="/a/b?c=d").headers["Location"] == "/a/b?c=d"


def test_a_session_that_was_planted_does_not_become_the_users(client: Client) -> None:
    user = new_user(password=PASSWORD)
    client.get("/-/sign-in")
    session = client.session
    session["planted"] = True
    session.save()
    planted = session_key(client)
    assert planted
    sign_in(client, user)
    assert session_key(client) != planted
    other = Client()
    other.cookies[settings.SESSION_COOKIE_NAME] = planted
    assert not is_signed_in(other)


def test_each_sign_in_has_a_key_of_its_own_and_the_old_one_opens_nothing(client: Client) -> None:
    user = new_user(password=PASSWORD)
    sign_in(client, user)
    before = session_key(client)
    sign_in(client, user)
    assert session_key(client) != before
    assert SignedInSession.objects.filter(user=user).count() == 1
    assert not Session.objects.filter(pk=before).exists()


def test_cookies_are_not_for_scripts_nor_other_sites(client: Client) -> None:
    sign_in(client, new_user(password=PASSWORD))
    for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME):
        cookie = client.cookies[name]
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_forms_need_their_secret() -> None:
    user, client = new_user(password=PASSWORD), Client(enforce_csrf_checks=True)
    assert sign_in(client, user).status_code == 403
    secret = csrf_of(client.get("/-/sign-in").content.decode())
    assert sign_in(client, user, csrfmiddlewaretoken=secret).status_code == 303
    for address in ("/-/sign-out", "/-/me/password", "/-/me/tokens", "/-/me/sessions/end-others"):
        assert client.post(address).status_code == 403
    assert is_signed_in(client)


def test_forms_are_taken_from_our_own_origin_though_a_proxy_ends_tls() -> None:
    user = new_user(password=PASSWORD)
    for origin, status in (("http://control.test", 303), ("https://evil.example", 403), ("null", 403)):
        client = Client(enforce_csrf_checks=True, HTTP_ORIGIN=origin)
        secret = csrf_of(client.get("/-/sign-in").content.decode())
        assert sign_in(client, user, csrfmiddlewaretoken=secret).status_code == status, origin


@override_settings(SESSION_COOKIE_SECURE=True, CSRF_COOKIE_SECURE=True)
def test_cookies_go_by_https_only_where_people_come_by_https(client: Client) -> None:
    sign_in(client, new_user(password=PASSWORD))
    assert client.cookies[settings.SESSION_COOKIE_NAME]["secure"]
    assert client.cookies[settings.CSRF_COOKIE_NAME]["secure"]


@pytest.mark.parametrize(
    ("host", "origin", "has_https"),
    [
        ("https://Control.example.com:8443/", "https://control.example.com:8443", True),
        ("http://control.test/below", "http://control.test", False),
        ("", "", False),
    ],
)
def test_the_configured_host_says_origin_and_https(host: str, origin: str, *, has_https: bool) -> None:
    configuration = ControlConfiguration(http=ControlHTTP(host=host))
    assert (configuration.http.origin, configuration.has_https()) == (origin, has_https)


def test_sign_out_is_no_link(client: Client) -> None:
    sign_in(client, new_user(password=PASSWORD))
    assert client.get("/-/sign-out").status_code == 405
    assert is_signed_in(client)


def test_a_blocked_user_is_out_with_the_next_request(client: Client) -> None:
    user = new_user(password=PASSWORD)
    sign_in(client, user)
    block_user(user, by=COMMAND_LINE)
    assert not is_signed_in(client)


@pytest.mark.parametrize(("field", "minutes"), [("seen_at", 10_081), ("started_at", 43_201)])
def test_a_session_ends_by_rest_and_by_age(client: Client, field: str, minutes: int) -> None:
    user = new_user(password=PASSWORD)
    sign_in(client, user)
    rows = SignedInSession.objects.filter(user=user)
    rows.update(**{field: timezone.now() - timedelta(minutes=minutes - 5)})
    assert is_signed_in(client)
    rows.update(**{field: timezone.now() - timedelta(minutes=minutes)})
    assert not is_signed_in(client)
    assert not rows.exists()


def test_what_is_over_is_cleared_at_the_next_sign_in(client: Client) -> None:
    user = new_user(password=PASSWORD)
    sign_in(client, user)
    old = SignedInSession.objects.get(user=user)
    SignedInSession.objects.filter(pk=old.pk).update(started_at=timezone.now() - timedelta(days=400))
    Session.objects.filter(pk=session_key(client)).update(expire_date=timezone.now() - timedelta(days=1))
    sign_in(Client(), user)
    assert not SignedInSession.objects.filter(pk=old.pk).exists()
    assert not Session.objects.filter(pk=session_key(client)).exists()


def test_sessions_are_listed_and_ended_one_by_one_and_all_together() -> None:
    user = new_user(password=PASSWORD)
    here, there, elsewhere = (Client(HTTP_USER_AGENT=f"browser-{number}") for number in range(3))
    for one in (here, there, elsewhere):
        sign_in(one, user)
    text = here.get("/-/me/sessions").content.decode()
    assert all(f"browser-{number}" in text for number in range(3))
    row = SignedInSession.objects.get(user=user, agent="browser-1")
    assert here.post(f"/-/me/sessions/{row.pk}/end").status_code == 303
    assert [is_signed_in(one) for one in (here, there, elsewhere)] == [True, False, True]
    here.post("/-/me/sessions/end-others")
    assert [is_signed_in(one) for one in (here, there, elsewhere)] == [True, False, False]
    assert AuditEntry.objects.filter(action="sessions_ended", target_id=user.pk).count() == 2


def test_nobody_ends_the_sessions_of_another(client: Client) -> None:
    victim, user, other = new_user(password=PASSWORD), new_user(password=PASSWORD), Client()
    sign_in(other, victim)
    sign_in(client, user)
    row = SignedInSession.objects.get(user=victim)
    client.post(f"/-/me/sessions/{row.pk}/end")
    client.post("/-/me/sessions/end-others")
    assert is_signed_in(other)


@pytest.mark.usefixtures("committed")
def test_a_change_of_password_ends_other_sessions_and_removes_the_first_ones_file(client: Client) -> None:
    user, other = new_user(password=PASSWORD, is_admin=True), Client()
    file = settings.MOORAGE.folder / INITIAL_PASSWORD_NAME
    file.write_text(PASSWORD)
    sign_in(client, user)
    sign_in(other, user)
    before = session_key(client)
    assert client.post("/-/me/password", {"current": "wrong", "password": NEW_PASSWORD}).status_code == 422
    assert client.post("/-/me/password", {"current": PASSWORD, "password": "short"}).status_code == 422
    assert file.exists()
    assert client.post("/-/me/password", {"current": PASSWORD, "password": NEW_PASSWORD}).status_code == 303
    assert not file.exists()
    assert session_key(client) != before
    assert (is_signed_in(client), is_signed_in(other)) == (True, False)
    assert sign_in(Client(), user).status_code == 401
    assert sign_in(Client(), user, NEW_PASSWORD).status_code == 303


def test_who_has_no_password_cannot_set_one_by_the_form(client: Client) -> None:
    user = new_user()
    client.force_login(user)
    assert client.post("/-/me/password", {"current": "x", "password": NEW_PASSWORD}).status_code == 422
    assert not User.objects.get(pk=user.pk).has_usable_password()


@pytest.mark.usefixtures("time_stands_still")
def test_an_address_that_guesses_is_sent_away_and_others_are_not() -> None:
    user = new_user(password=PASSWORD)
    guesser, owner = Client(REMOTE_ADDR="192.0.2.66"), Client(REMOTE_ADDR="198.51.100.7")
    answers = [sign_in(guesser, user, f"wrong{number}").status_code for number in range(12)]
    assert answers[0] == 401
    assert answers[-1] == 429
    last = sign_in(guesser, user)
    assert (last.status_code, int(last.headers["Retry-After"]) > 0) == (429, True)
    assert sign_in(owner, user).status_code == 303


def test_an_account_that_many_addresses_guess_is_closed_to_strangers_only() -> None:
    user = new_user(password=PASSWORD)
    owner = Client(REMOTE_ADDR="198.51.100.7")
    sign_in(owner, user)
    for number in range(10):
        assert sign_in(Client(REMOTE_ADDR=f"10.{number}.0.1"), user, f"wrong{number}").status_code == 401
    stranger = Client(REMOTE_ADDR="203.0.113.9")
    assert sign_in(stranger, user, "wrong again").status_code == 429
    assert sign_in(owner, user, "mistyped").status_code == 401
    assert sign_in(owner, user).status_code == 303


@pytest.mark.parametrize("is_page", [True, False])
def test_whoever_is_right_for_their_own_account_guesses_no_other_one_from_there(
    monkeypatch: pytest.MonkeyPatch, *, is_page: bool
) -> None:
    now = [1000.0]
    monkeypatch.setattr(finding, "GUESSES", Guesses(monotonic=lambda: now[0]))
    insider, victim = new_user(password=PASSWORD), new_user(password=PASSWORD)
    guesser = Client(REMOTE_ADDR="198.51.100.7")

    def status(user: User, password: str) -> int:
        now[0] += 6.0  # The address itself is open again.
        if is_page:
            return sign_in(guesser, user, password).status_code
        return int(ask(guesser, given=(user.username, password), address="198.51.100.7").status_code)

    right = 303 if is_page else 200
    for number in range(10):
        assert status(insider, PASSWORD) == right
        assert status(victim, f"wrong{number}") == 401
    assert status(insider, PASSWORD) == right
    assert status(victim, "wrong again") == 429
    assert status(insider, "mistyped") == 401


def test_an_account_that_is_not_there_is_closed_in_the_same_way() -> None:
    for number in range(10):
        client = Client(REMOTE_ADDR=f"10.{number}.0.1")
        assert sign_in(client, "not-there", f"wrong{number}").status_code == 401
    assert sign_in(Client(REMOTE_ADDR="203.0.113.9"), "Not-There", "wrong").status_code == 429


def test_no_secret_is_in_the_log(
    client: Client, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    user = new_user(password=PASSWORD)
    sign_in(client, "typed-a-secret-as-name", "typed-password")
    sign_in(client, user)
    client.post("/-/me/password", {"current": PASSWORD, "password": NEW_PASSWORD})
    written = "".join(capfd.readouterr()) + caplog.text
    assert user.username in written
    for secret in (PASSWORD, NEW_PASSWORD, "typed-password", "typed-a-secret-as-name", session_key(client)):
        assert secret not in written
