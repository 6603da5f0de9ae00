"""Limiters in a configuration: what each needs, all mistakes together."""

from unit.config.reading import mistakes_of, read

GOOD = (
    "{name: a, match: {type: IP}, precedence: 10, limit: {rate: 5000, period: minute, burst: 8000}, "
    "action: {warn_threshold: 0.7, warn_action: log, hard_action: block}}"
)


def test_what_gitlab_documents_is_good() -> None:
    loaded = read(f"rate_limiter: {{enabled: true, limiters: [{GOOD}]}}")
    assert (loaded.not_implemented, loaded.refused, loaded.warnings) == ((), (), ())
    assert loaded.config.rate_limiter.limiters[0].match.type == "ip"


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = mistakes_of(
        f"rate_limiter: {{enabled: true, limiters: [{GOOD}, {{name: a, match: {{type: moon}}}}, {{}}]}}"
    )
    assert set(found) == {
        "rate_limiter.limiters[1].name",
        *(
            f"rate_limiter.limiters[{number}].{key}"
            for number in (1, 2)
            for key in ("precedence", "limit.rate", "limit.burst", "match.type", "limit.period", "action.hard_action")
        ),
        "rate_limiter.limiters[2].name",
    }
    assert found["rate_limiter.limiters[1].match.type"] == "one of ip, user is needed"


def test_what_is_switched_off_may_be_unfinished() -> None:
    assert mistakes_of("rate_limiter: {enabled: false, limiters: [{name: a}]}") == {}


def test_a_proxy_is_an_address_or_a_network() -> None:
    assert list(mistakes_of("http: {trustedproxies: [10.0.0.0/8, '::1', proxy.example.com]}")) == [
        "http.trustedproxies"
    ]
