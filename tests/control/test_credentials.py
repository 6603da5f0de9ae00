"""Names and secrets turned into the one behind them: every kind of credential, and every way in which it ends."""

import base64
from datetime import date, timedelta

import pytest
from django.utils import timezone

from moorage.control.accounts.changes import block_user, change_password
from moorage.control.accounts.models import PersonalAccessToken
from moorage.control.accounts.passwords import CHECKS
from moorage.control.accounts.rules import TokenScope
from moorage.control.accounts.token_changes import create_token, revoke_token, rotate_token
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.credentials import finding
from moorage.control.credentials.finding import basic_of, requester_of_basic, requester_of_token
from moorage.control.credentials.guesses import Guesses
from moorage.control.projects.models import DeployToken, JobToken
from moorage.control.projects.requesters import Requester
from moorage.control.projects.rules import CredentialKind
from moorage.control.projects.token_changes import revoke_deploy_token, revoke_job_token
from moorage.control.refusals import ChangeRefused, CredentialsRefused
from moorage.errors import TooManyRequests
from support.control_rows import (
    PASSWORD,
    new_bot_token,
    new_deploy_token,
    new_group,
    new_job_token,
    new_project,
    new_token,
    new_user,
)


def basic(username: str, secret: str, address: str = "192.0.2.1") -> Requester:
    return requester_of_basic(username, secret, address=address)


def refused(username: str, secret: str) -> bool:
    try:
        basic(username, secret)
    except CredentialsRefused:
        return True
    return False


def test_a_password_is_a_user_with_all_rights() -> None:
    user = new_user("Ada", password=PASSWORD)
    found = basic("ada", PASSWORD)
    assert (found.user, found.credential, found.scopes) == (user, CredentialKind.PASSWORD, None)
    assert refused("ada", PASSWORD + "x")
    assert refused("nobody", PASSWORD)
    assert refused("ada\0", PASSWORD)


def test_a_user_without_a_password_cannot_sign_in_with_any() -> None:
    user = new_user()
    assert all(refused(user.username, secret) for secret in ("", user.password))


def test_a_personal_token_works_under_any_name_and_alone() -> None:
    issued = new_token(new_user(), "read_registry")
    for found in (basic("whatever", issued.secret), requester_of_token(issued.secret, address="")):
        assert found.credential is CredentialKind.PERSONAL_TOKEN
        assert found.scopes == frozenset({TokenScope.READ_REGISTRY})
        assert found.token == issued.token
    assert refused("x", issued.secret[:-1])


def test_a_token_is_kept_as_a_digest_and_its_secret_is_in_no_row() -> None:
    issued = new_token(new_user())
    assert issued.secret.startswith("glpat-")
    kept = [*PersonalAccessToken.objects.values_list(), *AuditEntry.objects.values_list()]
    assert issued.secret.removeprefix("glpat-") not in repr(kept)


def test_a_token_ends_when_it_is_revoked_or_old_or_its_user_blocked() -> None:
    user = new_user()
    revoked, old, of_blocked = (new_token(user) for _ in range(3))
    revoke_token(revoked.token, by=COMMAND_LINE)
    PersonalAccessToken.objects.filter(pk=old.token.pk).update(expires_at=timezone.now().date())
    assert refused("x", revoked.secret)
    assert refused("x", old.secret)
    assert not refused("x", of_blocked.secret)
    block_user(user, by=COMMAND_LINE)
    assert refused("x", of_blocked.secret)


def test_rotation_gives_a_new_token_in_the_old_ones_place() -> None:
    issued = new_token(new_user(), "read_api", "self_rotate")
    fresh = rotate_token(issued.token, by=COMMAND_LINE)
    assert refused("x", issued.secret)
    assert basic("x", fresh.secret).scopes == frozenset({TokenScope.READ_API, TokenScope.SELF_ROTATE})
    assert fresh.token.previous == issued.token
    with pytest.raises(ChangeRefused, match="already revoked"):
        rotate_token(issued.token, by=COMMAND_LINE)


@pytest.mark.parametrize(
    ("scopes", "days", "field"), [([], 1, "scopes"), (["sudo"], 1, "scopes"), (["api"], 0, "expires_at")]
)
def test_a_token_that_is_not_possible_is_refused(scopes: list[str], days: int, field: str) -> None:
    ends = timezone.now().date() + timedelta(days=days)
    with pytest.raises(ChangeRefused) as caught:
        create_token(new_user(), "x", scopes, by=COMMAND_LINE, expires_at=ends)
    assert list(caught.value.problems) == [field]


def test_a_token_lives_a_year_at_most() -> None:
    today = timezone.now().date()
    assert new_token(new_user()).token.expires_at == today + timedelta(days=365)
    with pytest.raises(ChangeRefused, match="must be before"):
        create_token(new_user(), "x", ["api"], by=COMMAND_LINE, expires_at=date(today.year + 2, 1, 1))


def test_the_last_use_is_written_when_what_is_known_is_older_than_ten_minutes() -> None:
    issued = new_token(new_user())
    rows = PersonalAccessToken.objects.filter(pk=issued.token.pk)

    def used_after(minutes: int) -> bool:
        before = timezone.now() - timedelta(minutes=minutes)
        rows.update(last_used_at=before)
        basic("x", issued.secret)
        return rows.get().last_used_at != before

    basic("x", issued.secret)
    assert rows.get().last_used_at is not None
    assert (used_after(9), used_after(11)) == (False, True)


def test_a_deploy_token_has_its_own_name() -> None:
    issued = new_deploy_token(new_project(), "read_registry")
    name = f"gitlab+deploy-token-{issued.token.pk}"
    found = basic(name, issued.secret)
    assert (found.deploy_token, found.user, found.credential) == (issued.token, None, CredentialKind.DEPLOY_TOKEN)
    assert refused("another", issued.secret)
    revoke_deploy_token(issued.token, by=COMMAND_LINE)
    assert refused(name, issued.secret)


def test_a_deploy_token_ends_with_its_moment() -> None:
    issued = new_deploy_token(new_group())
    DeployToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert refused(issued.token.username, issued.secret)


def test_a_jobs_token_goes_with_the_name_of_ci_and_ends() -> None:
    project = new_project()
    first, second = new_job_token(project), new_job_token(project)
    assert basic("gitlab-ci-token", first.secret).job_token == first.token
    assert refused("root", first.secret)
    revoke_job_token(first.token, by=COMMAND_LINE)
    JobToken.objects.filter(pk=second.token.pk).update(expires_at=timezone.now())
    assert refused("gitlab-ci-token", first.secret)
    assert refused("gitlab-ci-token", second.secret)


def test_a_projects_token_is_its_bots() -> None:
    issued = new_bot_token(new_project())
    found = basic("x", issued.secret)
    assert found.user is not None
    assert found.user.is_bot
    assert refused(found.user.username, "")


def test_guesses_close_an_address_and_nobody_elses_and_tokens_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(finding, "GUESSES", Guesses(monotonic=lambda: now[0]))
    user = new_user(password=PASSWORD)
    token = new_token(user)
    for _ in range(3):
        assert refused(user.username, "a wrong one")
    with pytest.raises(TooManyRequests) as caught:
        basic(user.username, PASSWORD)
    assert caught.value.retry_after == timedelta(seconds=1)
    assert basic("x", token.secret).user == user
    assert basic(user.username, PASSWORD, "198.51.100.7").user == user
    now[0] += 5
    assert basic(user.username, PASSWORD).user == user


def test_a_password_that_was_right_is_not_hashed_again_until_it_is_changed() -> None:
    user = new_user(password=PASSWORD)
    assert not CHECKS.was_right(user.password, PASSWORD)
    basic(user.username, PASSWORD)
    assert CHECKS.was_right(user.password, PASSWORD)
    change_password(user, PASSWORD + "!", by=COMMAND_LINE)
    assert refused(user.username, PASSWORD)


@pytest.mark.parametrize("header", ["", "Bearer x", "Basic", "Basic %%%", "Basic " + "A" * 9000, "Basic dXNlcg=="])
def test_a_header_that_is_no_basic_has_nobody(header: str) -> None:
    assert basic_of(header) is None


@pytest.mark.parametrize("given", [b"ad\xff:secret", b"ada:secret\xff", b"\xed\xa0\x80:secret"])
def test_a_basic_header_that_is_no_unicode_has_nobody(given: bytes) -> None:
    """No user and no password can be meant by it, and no database takes it."""
    assert basic_of("Basic " + base64.b64encode(given).decode()) is None


def test_a_basic_header_is_split_at_its_first_colon() -> None:
    assert basic_of("basic " + base64.b64encode(b"user:pass:word").decode()) == ("user", "pass:word")
