"""Variables over the file: CFP-004 to CFP-010."""

import pytest

from moorage.config import Config, FilesystemSection, HtpasswdAuth
from moorage.config.environment import split
from unit.config.reading import mistakes_of, read

FILESYSTEM = "storage: {filesystem: {rootdirectory: /one}}\n"


def root_of(config: Config) -> str:
    assert isinstance(config.storage.driver, FilesystemSection)
    return config.storage.driver.rootdirectory


def test_a_variable_wins_over_the_file() -> None:
    loaded = read("http: {addr: ':1', net: tcp}", REGISTRY_HTTP_ADDR=":2")
    assert (loaded.config.http.addr, loaded.config.http.net) == (":2", "tcp")


@pytest.mark.parametrize("name", ["REGISTRY_HTTP_ADDR", "registry_http_addr", "Registry_Http_Addr"])
def test_case_does_not_matter(name: str) -> None:
    assert read("", **{name: ":2"}).config.http.addr == ":2"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("HTTP_ADDR", ["HTTP", "ADDR"]),
        ("STORAGE_S3_V2_BUCKET", ["STORAGE", "S3_V2", "BUCKET"]),
        ("STORAGE_AZURE_V2_MAX_RETRY_DELAY", ["STORAGE", "AZURE_V2", "MAX_RETRY_DELAY"]),
        ("STORAGE_AZURE_V2_RETRY_DELAY", ["STORAGE", "AZURE_V2", "RETRY_DELAY"]),
        ("STORAGE_AZURE_V2_DEBUG_LOG_EVENTS_0", ["STORAGE", "AZURE_V2", "DEBUG_LOG_EVENTS", "0"]),
        ("STORAGE_AZURE_V2_DEBUG_LOG", ["STORAGE", "AZURE_V2", "DEBUG_LOG"]),
        ("STORAGE_GCS_CREDENTIALS_PRIVATE_KEY_ID", ["STORAGE", "GCS", "CREDENTIALS", "PRIVATE_KEY_ID"]),
        ("STORAGE_GCS_CREDENTIALS_PRIVATE_KEY", ["STORAGE", "GCS", "CREDENTIALS", "PRIVATE_KEY"]),
        ("STORAGE_S3_V2X_BUCKET", ["STORAGE", "S3", "V2X", "BUCKET"]),
        ("XS3_V2", ["XS3", "V2"]),
        ("", []),
        ("_HTTP", []),
        ("HTTP_", []),
        ("HTTP__ADDR", []),
    ],
)
def test_protected_words_are_not_taken_apart(name: str, parts: list[str]) -> None:
    assert split(name) == parts


def test_drivers_with_underscores_are_reached() -> None:
    loaded = read("storage: {s3_v2: {region: r, bucket: b}}", REGISTRY_STORAGE_S3_V2_CHECKSUM_DISABLED="true")
    assert loaded.config.storage.driver.model_dump()["checksum_disabled"] is True


def test_keys_with_underscores_go_by_the_name_of_their_field() -> None:
    text = "rate_limiter: {enabled: true, limiters: [{name: a, log_only: false}]}"
    loaded = read(text, REGISTRY_RATELIMITER_ENABLED="false", REGISTRY_RATELIMITER_LIMITERS_0_LOGONLY="true")
    assert loaded.config.rate_limiter.enabled is False
    assert loaded.config.rate_limiter.limiters[0].log_only is True
    assert loaded.warnings == ()


def test_the_general_comes_before_the_particular() -> None:
    environ = {
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/three",
        "REGISTRY_STORAGE_FILESYSTEM": "{rootdirectory: /two, maxthreads: 50}",
        "REGISTRY_STORAGE": "inmemory",
    }
    assert mistakes_of(FILESYSTEM, **environ) == {
        "storage": "must provide exactly one storage type. Provided: [filesystem inmemory]"
        "; the value is that of REGISTRY_STORAGE"
    }
    environ["REGISTRY_STORAGE"] = "filesystem"
    driver = read(FILESYSTEM, **environ).config.storage.driver
    assert isinstance(driver, FilesystemSection)
    assert (driver.rootdirectory, driver.maxthreads) == ("/three", 50)


def test_a_variable_that_names_a_section_replaces_it_whole() -> None:
    loaded = read("http: {addr: ':1', prefix: /a/}", REGISTRY_HTTP="{addr: ':2'}")
    assert (loaded.config.http.addr, loaded.config.http.prefix) == (":2", "")


@pytest.mark.parametrize("value", ["", "null", "~"])
def test_an_empty_variable_takes_a_key_back(value: str) -> None:
    assert read("http: {prefix: /a/}", REGISTRY_HTTP_PREFIX=value).config.http.prefix == ""
    assert read("http: {prefix: /a/}", REGISTRY_HTTP=value).config.http.prefix == ""


def test_a_bare_word_becomes_a_section_when_a_variable_goes_below_it() -> None:
    loaded = read("storage: filesystem\n", REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY="/two")
    assert root_of(loaded.config) == "/two"
    loaded = read("storage: filesystem\n", REGISTRY_STORAGE_DELETE_ENABLED="true")
    assert loaded.config.storage.delete.enabled
    assert read("auth: silly", REGISTRY_AUTH_SILLY_REALM="r", REGISTRY_AUTH_SILLY_SERVICE="s").config.auth


def test_a_scheme_can_be_chosen_by_variables_alone() -> None:
    loaded = read("", REGISTRY_AUTH="htpasswd", REGISTRY_AUTH_HTPASSWD_REALM="r", REGISTRY_AUTH_HTPASSWD_PATH="/p")
    assert loaded.config.auth == HtpasswdAuth(realm="r", path="/p")


def test_values_are_yaml() -> None:
    loaded = read(
        "",
        REGISTRY_STORAGE_DELETE_ENABLED="true",
        REGISTRY_HTTP_DRAINTIMEOUT="10s",
        REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW="[a, b]",
        REGISTRY_HTTP_HEADERS="{X-One: [a, b]}",
        REGISTRY_VALIDATION_MANIFESTS_REFERENCELIMIT="5",
    )
    config = loaded.config
    assert config.storage.delete.enabled
    assert config.http.draintimeout.total_seconds() == 10
    assert config.validation.manifests.urls.allow == ["a", "b"]
    assert config.http.headers == {"X-One": ("a", "b")}
    assert config.validation.manifests.referencelimit == 5


def test_a_value_of_the_wrong_kind_is_a_mistake_at_its_key() -> None:
    assert mistakes_of("", REGISTRY_STORAGE_DELETE_ENABLED="'true'", REGISTRY_HTTP="5") == {
        "storage.delete.enabled": "true or false is needed; the value is that of REGISTRY_STORAGE_DELETE_ENABLED; "
        "its quotes are part of the value: leave them out",
        "http": "a mapping is needed; the value is that of REGISTRY_HTTP",
    }


def test_a_value_that_is_no_yaml_is_a_mistake_and_says_whose() -> None:
    assert mistakes_of("", REGISTRY_HTTP_SECRET="[") == {
        "REGISTRY_HTTP_SECRET": "the value is not YAML: expected the node content, but found '<stream end>'"
        "; does it need quotes?"
    }


def test_a_variable_does_not_hide_a_mistake_of_the_file() -> None:
    assert mistakes_of("http: [1]", REGISTRY_HTTP_ADDR=":1") == {"http": "a mapping is needed"}
    assert mistakes_of("redis: {addrs: 5}", REGISTRY_REDIS_ADDRS_0="a") == {"redis.addrs": "a list is needed"}


def test_items_of_lists_go_by_their_index() -> None:
    text = "redis: {addrs: [a, b]}\nnotifications: {endpoints: [{url: 'http://one', name: n}]}"
    config = read(
        text,
        REGISTRY_REDIS_ADDRS_1="c",
        REGISTRY_REDIS_ADDRS_2="d",
        REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL="http://two",
        REGISTRY_NOTIFICATIONS_ENDPOINTS_1_URL="http://three",
        REGISTRY_NOTIFICATIONS_ENDPOINTS_1_HEADERS="{A: [b]}",
    ).config
    assert config.redis.addrs == ["a", "c", "d"]
    endpoints = config.notifications.endpoints
    assert [(item.url, item.known_as) for item in endpoints] == [("http://two", "n"), ("http://three", "three")]


def test_the_eleventh_item_comes_after_the_tenth() -> None:
    environ = {f"REGISTRY_REDIS_ADDRS_{index}": f"ca{index}" for index in range(12)}
    assert read("", **environ).config.redis.addrs == [f"ca{index}" for index in range(12)]


def test_an_index_that_skips_ahead_is_a_mistake() -> None:
    assert mistakes_of("redis: {addrs: [a]}", REGISTRY_REDIS_ADDRS_2="c") == {
        "REGISTRY_REDIS_ADDRS_2": "there are 1 items before it; the next one is number 1"
    }


@pytest.mark.parametrize(
    "name",
    [
        "REGISTRY_",
        "REGISTRY_HTTP_ADDRESS",
        "REGISTRY_HTTP__ADDR",
        "REGISTRY_HTTP_ADDR_X",
        "REGISTRY_REDIS_ADDRS_X",
        "REGISTRY_REDIS_ADDRS_-1",
        "REGISTRY_REDIS_ADDRS_٣",
        "REGISTRY_REDIS_ADDRS_99999999999",
        "REGISTRY_STORAGE_S3_BUCKETT",
        "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGES",
        "REGISTRY_HTTPCHECKERS_ADDR",
    ],
)
def test_an_unknown_variable_is_a_warning_and_changes_nothing(name: str) -> None:
    loaded = read("", **{name: "tcp://10.0.0.1:5000"})
    assert loaded.warnings == (f"ignoring unrecognized environment variable {name}",)
    assert loaded.config == read("").config
    assert (loaded.unknown, loaded.not_implemented) == ((), ())


@pytest.mark.parametrize(
    "name",
    ["REGISTRY_FF_BBM", "REGISTRY_CONFIGURATION_PATH", "REGISTRY_AUTH_FILE", "registry_ff_x", "HOME", "REGISTRYX"],
)
def test_variables_that_are_no_keys_are_passed_over(name: str) -> None:
    assert read("", **{name: "["}).warnings == ()


def test_a_name_that_cannot_be_printed_is_written_out() -> None:
    (warning,) = read("", **{"REGISTRY_\udcff\x1b": "x"}).warnings
    assert warning.isprintable()


def test_names_of_free_mappings_are_lower_case() -> None:
    loaded = read("log: {fields: {service: a, Other: b}}", REGISTRY_LOG_FIELDS_NODE="n1", REGISTRY_LOG_FIELDS_OTHER="c")
    assert loaded.config.log.fields == {"service": "a", "Other": "c", "node": "n1"}


def test_free_mappings_go_as_deep_as_the_name() -> None:
    assert read("", REGISTRY_LOG_FIELDS_A_B="1").config.log.fields == {"a": {"b": 1}}
    loaded = read("storage: {gcs: {bucket: b}}", REGISTRY_STORAGE_GCS_CREDENTIALS_PRIVATE_KEY="k")
    assert loaded.config.storage.driver.model_dump()["credentials"] == {"private_key": "k"}


def test_middleware_is_reached() -> None:
    loaded = read(
        "", REGISTRY_MIDDLEWARE_STORAGE_0_NAME="redirect", REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_BASEURL="https://e.com"
    )
    (found,) = loaded.config.middleware["storage"]
    assert (found.name, found.options) == ("redirect", {"baseurl": "https://e.com"})


def test_an_alias_in_the_file_is_not_changed_with_its_original() -> None:
    text = "redis:\n  cache: &c {addr: a, pool: {size: 1}}\n  ratelimiter: *c\n"
    redis = read(text, REGISTRY_REDIS_CACHE_ADDR="b", REGISTRY_REDIS_CACHE_POOL_SIZE="2").config.redis
    assert (redis.cache.addr, redis.cache.pool.size) == ("b", 2)
    assert (redis.ratelimiter.addr, redis.ratelimiter.pool.size) == ("a", 1)


def test_uploadpurging_can_be_switched_off_by_one_variable() -> None:
    loaded = read("", REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED="false")
    assert loaded.config.storage.maintenance.uploadpurging.enabled is False
