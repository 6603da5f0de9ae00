"""Second factors: authenticators, recovery codes, what a password alone opens, and that an instance can ask for one."""

import base64
import re
from datetime import timedelta

import pytest
from django.test import Client

from moorage.control.accounts.models import FactorKind, SecondFactor, User
from moorage.control.accounts.second_factors import (
    accepts_password_for_git,
    has_second_factor,
    is_code_right,
    remove_all_factors,
    renew_recovery_codes,
)
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.instance.changes import change_settings
from moorage.control.sign_in.models import SignedInSession
from support.control_api import call
from support.control_rows import PASSWORD, new_token, new_user
from support.sign_in_pages import KEY, code_of, is_signed_in, session_key, sign_in, with_authenticator

FACTOR = "/-/sign-in/second-factor"


def _basic(username: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{secret}".encode()).decode()}


def test_the_password_alone_no_longer_signs_in(client: Client) -> None:
    user = with_authenticator(new_user(password=PASSWORD))
    assert sign_in(client, user, next="/-/me/tokens").headers["Location"] == FACTOR
    assert not is_signed_in(client)
    half = session_key(client)
    answer = client.post(FACTOR, {"code": code_of()})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/-/me/tokens")
    assert is_signed_in(client)
    assert session_key(client) != half


def test_a_code_is_taken_once(client: Client) -> None:
    user = with_authenticator(new_user(password=PASSWORD))
    code = code_of()
    sign_in(client, user)
    assert client.post(FACTOR, {"code": code}).status_code == 303
    other = Client()
    sign_in(other, user)
    assert other.post(FACTOR, {"code": code}).status_code == 401
    assert not is_signed_in(other)


@pytest.mark.parametrize("code", ["", "000000", "12345", "1234567", "abcdef", "\0", "٠٠٠٠٠٠", "9" * 5000])
def test_a_code_that_is_none_is_refused_in_words(client: Client, code: str) -> None:
    sign_in(client, with_authenticator(new_user(password=PASSWORD)))
    answer = client.post(FACTOR, {"code": code})
    assert answer.status_code in (200, 401)
    assert not is_signed_in(client)


def test_after_a_few_wrong_codes_the_password_is_asked_for_again(client: Client) -> None:
    user = with_authenticator(new_user(password=PASSWORD))
    sign_in(client, user)
    answers = [client.post(FACTOR, {"code": "abcdef"}, REMOTE_ADDR=f"10.{number}.0.1") for number in range(5)]
    assert [answer.status_code for answer in answers] == [401] * 4 + [303]
    assert client.post(FACTOR, {"code": code_of()}).headers["Location"] == "/-/sign-in"
    assert not is_signed_in(client)


@pytest.mark.usefixtures("time_stands_still")
def test_wrong_codes_over_many_sign_ins_close_the_second_factor() -> None:
    user = with_authenticator(new_user(password=PASSWORD))
    statuses = []
    for number in range(12):
        client = Client(REMOTE_ADDR="192.0.2.1")
        sign_in(client, user)
        statuses.append(client.post(FACTOR, {"code": f"{number:06}x"}).status_code)
    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_a_thief_of_the_password_has_ten_codes_to_try_from_anywhere() -> None:
    user, statuses = with_authenticator(new_user(password=PASSWORD)), []
    for number in range(11):
        client = Client(REMOTE_ADDR=f"10.{number}.0.1")
        assert sign_in(client, user).status_code == 303
        statuses.append(client.post(FACTOR, {"code": f"{number:06}x"}).status_code)
    assert statuses == [401] * 10 + [429]


def test_a_changed_password_ends_what_was_half_done(client: Client) -> None:
    user = with_authenticator(new_user(password=PASSWORD))
    sign_in(client, user)
    user.set_password("another-Tr0ub4dor-of-tests")
    user.save()
    assert client.post(FACTOR, {"code": code_of()}).headers["Location"] == "/-/sign-in"
    assert not is_signed_in(client)


def test_a_recovery_code_opens_the_account_once_however_it_is_typed(client: Client) -> None:
    user = with_authenticator(new_user(password=PASSWORD))
    codes = renew_recovery_codes(user, by=COMMAND_LINE)
    assert len(set(codes)) == 10
    sign_in(client, user)
    assert client.post(FACTOR, {"code": f" {codes[3].upper().replace('-', ' ')} "}).status_code == 303
    assert is_signed_in(client)
    assert not is_code_right(user, codes[3])
    assert is_code_right(user, codes[4])
    assert AuditEntry.objects.filter(action="recovery_code_used", actor_id=user.pk).count() == 2


def test_an_authenticator_is_set_up_by_its_code_and_gives_recovery_codes(client: Client) -> None:
    user = new_user(password=PASSWORD)
    sign_in(client, user)
    page = client.get("/-/me/second-factor/totp").content.decode()
    found = re.search(r"<span>([A-Z2-7]{32})</span>", page)
    assert found is not None
    assert "<svg" in page.partition('class="picture"')[2]
    key = base64.b32decode(found[1])
    assert client.post("/-/me/second-factor/totp", {"code": "abcdef"}).status_code == 422
    answer = client.post("/-/me/second-factor/totp", {"code": code_of(key)})
    assert answer.status_code == 201
    assert len(set(re.findall(r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}", answer.content.decode()))) == 10
    assert has_second_factor(user)
    assert answer.headers["Cache-Control"] == "no-store"
    stored = "".join(SecondFactor.objects.values_list("data", flat=True))
    assert found[1] not in stored
    assert key.hex() not in stored


def test_second_factors_are_changed_by_a_fresh_sign_in_only(client: Client) -> None:
    user = with_authenticator(new_user(password=PASSWORD))
    sign_in(client, user)
    client.post(FACTOR, {"code": code_of()})
    row = SignedInSession.objects.get(user=user)
    factor = user.second_factors.get(kind=FactorKind.TOTP)
    away = f"/-/me/second-factor/{factor.pk}/take-away"
    SignedInSession.objects.filter(pk=row.pk).update(started_at=row.started_at - timedelta(minutes=16))
    assert "again=1" in client.post(away).headers["Location"]
    assert has_second_factor(user)
    SignedInSession.objects.filter(pk=row.pk).update(started_at=row.started_at)
    assert client.post(away).status_code == 303
    assert not user.second_factors.exists()


def test_nobody_takes_away_the_factor_of_another(client: Client) -> None:
    victim, user = with_authenticator(new_user()), new_user(password=PASSWORD)
    sign_in(client, user)
    client.post(f"/-/me/second-factor/{victim.second_factors.get().pk}/take-away")
    assert has_second_factor(victim)


def test_with_a_second_factor_the_registry_takes_tokens_and_no_password(client: Client) -> None:
    user = with_authenticator(new_user(password=PASSWORD))
    answer = client.get("/jwt/auth?service=container_registry", headers=_basic(user.username, PASSWORD))
    assert answer.status_code == 401
    (error,) = answer.json()["errors"]
    assert error["code"] == "UNAUTHORIZED"
    assert "use a personal access token with 'api', 'read_registry'" in error["message"]
    assert error["message"].endswith("http://control.test/-/me/tokens")
    wrong = client.get("/jwt/auth?service=container_registry", headers=_basic(user.username, "wrong"))
    assert "/-/me/tokens" not in wrong.json()["errors"][0]["message"]
    token = new_token(user, "read_registry").secret
    assert client.get("/jwt/auth?service=container_registry", headers=_basic(user.username, token)).status_code == 200


def test_an_instance_can_ask_everybody_for_a_second_factor(client: Client) -> None:
    user = new_user(password=PASSWORD)
    assert accepts_password_for_git(user)
    change_settings(by=COMMAND_LINE, require_two_factor_authentication=True)
    assert not accepts_password_for_git(user)
    sign_in(client, user)
    for address in ("/", "/-/me/tokens", "/projects"):
        assert client.get(address).headers["Location"] == "/-/me/second-factor"
    assert client.post("/-/me/tokens", {"name": "x", "scopes": ["api"]}).status_code == 303
    assert not user.tokens.exists()
    assert client.get("/-/me/second-factor").status_code == 200
    assert client.get("/-/me/second-factor/totp").status_code == 200
    with_authenticator(user)
    assert client.get("/-/me/tokens").status_code == 200


def test_administrators_let_in_who_has_lost_the_second_factor(client: Client) -> None:
    user = with_authenticator(new_user(password=PASSWORD))
    renew_recovery_codes(user, by=COMMAND_LINE)
    assert remove_all_factors(user, by=COMMAND_LINE) == 1
    assert not SecondFactor.objects.filter(user=user).exists()
    assert sign_in(client, user).headers["Location"] == "/"


def test_a_key_of_another_secret_opens_nothing(client: Client) -> None:
    user = with_authenticator(new_user(password=PASSWORD))
    SecondFactor.objects.filter(user=user).update(data="sealed with another")
    sign_in(client, user)
    assert client.post(FACTOR, {"code": code_of(KEY)}).status_code == 401
    assert User.objects.get(pk=user.pk).second_factors.count() == 1


def test_an_administrator_takes_second_factors_of_others_away_by_the_api_but_not_of_administrators(
    client: Client,
) -> None:
    admin, user = with_authenticator(new_user(is_admin=True)), with_authenticator(new_user())
    secret = new_token(admin, "api").secret

    def asked(target: User) -> tuple[int, str]:
        answer = call(client, "PATCH", f"/users/{target.pk}/disable_two_factor", token=secret)
        return answer.status_code, answer.content.decode()

    assert asked(user) == (204, "")
    assert not has_second_factor(user)
    status, text = asked(user)
    assert (status, "Two-factor authentication is not enabled for this user" in text) == (400, True)
    status, text = asked(admin)
    assert (status, "cannot be disabled via the API" in text) == (403, True)
    assert has_second_factor(admin)


def test_the_first_second_factor_ends_sessions_that_a_password_alone_began(client: Client) -> None:
    user, thief = new_user(password=PASSWORD), Client()
    sign_in(thief, user)
    sign_in(client, user)
    client.get("/-/me/second-factor/totp")
    key = bytes.fromhex(client.session["new_totp_key"])
    client.post("/-/me/second-factor/totp", {"code": "abcdef"})
    assert is_signed_in(thief)
    client.post("/-/me/second-factor/totp", {"code": code_of(key)})
    assert (is_signed_in(thief), is_signed_in(client)) == (False, True)
    assert AuditEntry.objects.get(action="sessions_ended").details == {"count": 1}
