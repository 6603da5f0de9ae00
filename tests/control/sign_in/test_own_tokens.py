"""The page of one's own access tokens."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from moorage.control.accounts.models import PersonalAccessToken
from moorage.control.credentials.finding import requester_of_token
from support.control_rows import new_token, new_user

PAGE = "/-/me/tokens"


def test_a_token_is_made_shown_once_used_and_revoked(client: Client) -> None:
    user = new_user()
    client.force_login(user)
    ends = timezone.now().date() + timedelta(days=30)
    answer = client.post(PAGE, {"name": "laptop", "scopes": ["read_registry"], "expires_at": str(ends)})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    found = re.search(r"glpat-[\w-]+", answer.content.decode())
    assert found is not None
    secret = found[0]
    assert requester_of_token(secret, address="").user == user
    token = PersonalAccessToken.objects.get(user=user)
    assert (token.name, token.scopes, token.expires_at) == ("laptop", ["read_registry"], ends)
    later = client.get(PAGE).content.decode()
    assert "laptop" in later
    assert str(ends) in later
    assert secret not in later
    assert client.post(f"{PAGE}/{token.pk}/revoke").status_code == 303
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert "laptop" not in client.get(PAGE).content.decode()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": "", "scopes": ["api"]}, "required"),
        ({"name": "x"}, "can&#x27;t be blank"),
        ({"name": "x", "scopes": ["everything"]}, "everything is not one of"),
        ({"name": "x", "scopes": ["api"], "expires_at": "2001-01-01"}, "must be after today"),
        ({"name": "x", "scopes": ["api"], "expires_at": "9999-01-01"}, "must be before"),
        ({"name": "x", "scopes": ["api"], "expires_at": "soon"}, "valid date"),
    ],
)
def test_what_cannot_be_is_said_beside_the_form(client: Client, values: dict[str, str], said: str) -> None:
    client.force_login(new_user())
    answer = client.post(PAGE, values)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not PersonalAccessToken.objects.exists()


def test_nobody_sees_or_revokes_the_token_of_another(client: Client) -> None:
    issued = new_token(new_user())
    client.force_login(new_user(is_admin=True))
    assert client.post(f"{PAGE}/{issued.token.pk}/revoke").status_code == 404
    assert issued.token.name not in re.findall(r'scope="row">([^<]*)', client.get(PAGE).content.decode())
    issued.token.refresh_from_db()
    assert issued.token.revoked_at is None
