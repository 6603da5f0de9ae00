"""Endpoints: the old threshold as retries, and addresses without secrets."""

from datetime import timedelta

import pytest

from moorage.notifications.endpoints import EndpointSettings, retries_of, shown_url


@pytest.mark.parametrize(
    ("threshold", "backoff_s", "retries"), [(10, 1, 10), (5, 2, 10), (15, 1, 15), (3, 1, 10), (1, 60, 15), (5, 600, 6)]
)
def test_a_threshold_becomes_the_retries_that_gitlab_takes(threshold: int, backoff_s: int, retries: int) -> None:
    """The first three are those of GitLab's documentation."""
    assert retries_of(threshold, timedelta(seconds=backoff_s)) == retries


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/events", "https://a.example/events"),
        ("https://ada:secret@a.example:8443/events?token=secret", "https://***@a.example:8443/events?***"),
        ("http://secret@[::1]:80/x", "http://***@[::1]:80/x"),
        ("http://a:secret/", "***"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_settings_show_no_secret() -> None:
    made = EndpointSettings(name="a", url="https://secret@a", headers=(("Authorization", "secret"),))
    assert "secret" not in repr(made)
