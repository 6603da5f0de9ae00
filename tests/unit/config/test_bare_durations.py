"""Lengths of time without a unit are nanoseconds, as in Go's registries; who means something else is told so."""

import pytest

from unit.config.reading import read

GUIDE = """
notifications:
  endpoints:
    - name: alistener
      disabled: false
      url: https://my.listener.com/event
      timeout: 500
      threshold: 5
      maxretries: 5
      backoff: 1000
"""


def test_the_example_of_gitlabs_guide_is_taken_and_told_to_be_nanoseconds() -> None:
    assert read(GUIDE).warnings == (
        "notifications.endpoints[0].timeout: 500 without a unit is 500 nanoseconds; write 500ms or 500s",
        "notifications.endpoints[0].backoff: 1000 without a unit is 1000 nanoseconds; write 1000ms or 1000s",
    )


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("gc: {blobs: {interval: 5}}", "gc.blobs.interval"),
        ("health: {tcp: [{addr: 'db:5432'}, {addr: 'db:5433', timeout: 2}]}", "health.tcp[1].timeout"),
        ("redis: {cache: {enabled: true, addr: 'r:6379', dialtimeout: 10}}", "redis.cache.dialtimeout"),
        ("http: {draintimeout: 60}", "http.draintimeout"),
        ("database: {enabled: true, host: db, dbname: r, pool: {maxlifetime: 3600}}", "database.pool.maxlifetime"),
        ("storage: {azure_v2: {accountname: abc, accountkey: a2V5, container: abc, retry_delay: 4}}",
         "storage.azure_v2.retry_delay"),
    ],
)  # fmt: skip
def test_so_is_every_other_length_of_time(text: str, where: str) -> None:
    assert [warning.partition(": ")[0] for warning in read(text).warnings] == [where]


def test_a_variable_is_told_of_as_well() -> None:
    assert read(REGISTRY_HTTP_DRAINTIMEOUT="60").warnings == (
        "http.draintimeout: 60 without a unit is 60 nanoseconds; write 60ms or 60s",
    )


@pytest.mark.parametrize("value", ["0", "-1", "5s", "1us", "5000000000"])
def test_what_is_meant_as_it_is_written_is_no_matter_for_a_word(value: str) -> None:
    assert read(f"gc: {{reviewafter: {value}}}").warnings == ()
