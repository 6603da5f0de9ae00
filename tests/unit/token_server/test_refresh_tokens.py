"""Refresh tokens: good for one user, service and password, and for a while."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.token_server.refresh_tokens import RefreshInvalid, RefreshTokens

TOKENS = RefreshTokens(b"s" * 32, "registry")
NOW, END = 1000.0, 2000.0
MADE = TOKENS.make("ada", "$2b$04$hash", END)


def test_a_refresh_token_is_good_until_it_ends() -> None:
    assert TOKENS.user_of(MADE) == "ada"
    TOKENS.check(MADE, "$2b$04$hash", END)
    with pytest.raises(RefreshInvalid, match="has ended; log in again"):
        TOKENS.check(MADE, "$2b$04$hash", END + 1)


@pytest.mark.parametrize("hashed", ["$2b$04$other", None])
def test_another_password_or_no_user_any_more_ends_it(hashed: str | None) -> None:
    with pytest.raises(RefreshInvalid, match="the password was changed"):
        TOKENS.check(MADE, hashed, NOW)


def test_it_is_for_one_service() -> None:
    with pytest.raises(RefreshInvalid, match="another service"):
        RefreshTokens(TOKENS.secret, "other").check(MADE, "$2b$04$hash", NOW)


def test_it_says_nothing_of_the_password() -> None:
    assert "hash" not in MADE


@pytest.mark.parametrize(
    "token",
    ["", ".", "moorage-refresh-1..", MADE[:-2], MADE + "A", MADE.replace("moorage", "Moorage"), "é" + MADE, MADE * 40],
)
def test_what_was_not_made_here_is_refused(token: str) -> None:
    with pytest.raises(RefreshInvalid, match="none of this server"):
        TOKENS.user_of(token)


def test_one_of_another_secret_is_refused() -> None:
    with pytest.raises(RefreshInvalid, match="none of this server"):
        TOKENS.user_of(RefreshTokens(b"t" * 32, "registry").make("ada", "$2b$04$hash", END))


@given(st.integers(min_value=0, max_value=len(MADE) - 1), st.sampled_from("abcXYZ019-_."))
def test_a_changed_character_is_refused_or_changes_nothing(position: int, character: str) -> None:
    changed = MADE[:position] + character + MADE[position + 1 :]
    try:
        assert TOKENS.user_of(changed) == "ada"
    except RefreshInvalid:
        return
    # The last characters of base64 have bits that mean nothing.
    TOKENS.check(changed, "$2b$04$hash", NOW)
