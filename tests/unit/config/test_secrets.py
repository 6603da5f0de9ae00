"""No secret is shown: not in a message, not in a warning, not in the configuration's repr."""

import traceback

import pytest

from moorage.config import KeyDescription, describe, load
from moorage.errors import ConfigurationError
from unit.config.reading import written

SECRET = "hunter2-hunter2"
WORDS = (
    "password",
    "secret",
    "accountkey",
    "secretkey",
    "accesskey",
    "sessiontoken",
    "dsn",
    "apikey",
    "licensekey",
    "connectionstring",
)
SECRETS = [key for key in describe() if key.path.rpartition(".")[2].removeprefix("sentinel") in WORDS]
MAPPINGS = [
    key for key in describe() if key.path.endswith((".credentials", ".options", "[].headers")) and key.type == "mapping"
]


def test_the_secrets_are_those_that_we_think_of() -> None:
    found = {key.path for key in SECRETS}
    assert {
        "http.secret",
        "database.password",
        "redis.password",
        "redis.sentinelpassword",
        "redis.cache.password",
        "redis.ratelimiter.sentinelpassword",
        "proxy.password",
        "reporting.sentry.dsn",
        "reporting.bugsnag.apikey",
        "log.hooks[].options.smtp.password",
        "storage.s3.accesskey",
        "storage.s3_v2.secretkey",
        "storage.s3aws.sessiontoken",
        "storage.azure.accountkey",
        "storage.azure_v2.secret",
    } <= found
    assert {key.path for key in MAPPINGS} == {
        "storage.gcs.credentials",
        "storage.azure.credentials",
        "storage.azure_v2.credentials",
        "redis.options",
        "health.http[].headers",
        "notifications.endpoints[].headers",
        "middleware.<name>[].options",
    }


@pytest.mark.parametrize("key", [*SECRETS, *MAPPINGS], ids=lambda key: key.path)
def test_a_secret_is_not_shown(key: KeyDescription) -> None:
    value = {"authorization": [SECRET]} if key.path.endswith("headers") else {"private_key": SECRET}
    text = written(key.path, SECRET if key in SECRETS else value)
    assert SECRET in text
    loaded = load(text, {})
    assert SECRET not in f"{loaded!r} {loaded} {loaded.config!r} {loaded.config} {loaded.warnings}"


@pytest.mark.parametrize("key", SECRETS, ids=lambda key: key.path)
@pytest.mark.parametrize("wrong", [[SECRET], {SECRET: SECRET}, [[SECRET]], {"a": SECRET}])
def test_a_secret_of_the_wrong_kind_is_not_shown(key: KeyDescription, wrong: object) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(written(key.path, wrong), {})
    assert [mistake.message for mistake in raised.value.mistakes] == ["text is needed"]
    assert SECRET not in shown(raised.value)
    variable = {key.variable: f"[{SECRET}]"}
    with pytest.raises(ConfigurationError) as raised:
        load(written(key.path, None), variable)
    assert SECRET not in shown(raised.value)


@pytest.mark.parametrize("key", SECRETS, ids=lambda key: key.path)
def test_a_secret_is_not_shown_with_the_mistakes_of_others(key: KeyDescription) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(written(key.path, SECRET), {"REGISTRY_HTTP_PREFIX": "wrong", "REGISTRY_BOGUS": SECRET})
    assert SECRET not in shown(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        f"storage: [{SECRET}]",
        f"storage: {{inmemory: {SECRET}}}",
        f"storage: {{s3: {SECRET}}}",
        f"auth: [{SECRET}]",
        f"auth: {{token: {SECRET}}}",
        f"http: {SECRET}",
        f"database: {{enabled: {SECRET}}}",
        f"http: {{host: 'ftp://{SECRET}'}}",
        f"http: {{headers: {{Authorization: [{{{SECRET}: {SECRET}}}]}}}}",
        f"notifications: {{endpoints: {SECRET}}}",
        f"notifications: {{endpoints: [{{headers: {{Authorization: {SECRET}}}}}]}}",
        SECRET,
        f"- {SECRET}",
        f"http: {{secret: '{SECRET}",
        f"http:\n  secret: {SECRET}: {SECRET}",
        f"? [{SECRET}]\n: 1",
        f"? {{{SECRET}: 1}}\n: 1",
    ],
)
def test_a_value_is_not_shown_where_it_does_not_belong(text: str) -> None:
    storage = "" if text.startswith("storage") else "storage: inmemory\n"
    with pytest.raises(ConfigurationError) as raised:
        load(f"version: 0.1\n{storage}{text}", {})
    assert SECRET not in shown(raised.value)


def test_a_host_that_is_not_used_is_not_shown() -> None:
    loaded = load(f"version: 0.1\nstorage: inmemory\nhttp: {{host: {SECRET}}}", {})
    assert len(loaded.warnings) == 1
    assert SECRET not in repr(loaded)


def test_a_url_with_a_password_in_it_is_not_shown() -> None:
    text = f"version: 0.1\nstorage: inmemory\nproxy: {{remoteurl: 'https://u:{SECRET}@example.com'}}\n"
    text += f"notifications: {{endpoints: [{{url: 'https://u:{SECRET}@example.com'}}]}}"
    assert SECRET not in repr(load(text, {}))


def shown(exc: ConfigurationError) -> str:
    """All that a log or a traceback may show of it."""
    return "".join(traceback.format_exception(exc)) + repr(exc) + repr(exc.mistakes)
