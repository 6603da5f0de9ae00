"""Patterns of strangers: what is wrong with one is said as RE2 says it."""

import pytest

from moorage.oci.safe_patterns import PatternInvalid, compiled


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [("(", "missing ): ("), ("é**", "bad repetition operator: **"), ("[ä-a]", "invalid character class range: ä-a")],
)
def test_the_reason_is_text(pattern: str, reason: str) -> None:
    with pytest.raises(PatternInvalid) as caught:
        compiled(pattern)
    assert caught.value.reason == reason


def test_what_is_no_unicode_is_no_pattern() -> None:
    with pytest.raises(PatternInvalid, match="surrogates not allowed"):
        compiled("\udc80")
