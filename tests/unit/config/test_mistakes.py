"""What cannot be used is refused, all of it at once, each with its place and what would be right."""

from typing import cast

import pytest

from moorage.config import FilesystemSection, HtpasswdAuth, NoAuth, SillyAuth, TokenAuth, load
from unit.config.reading import mistakes_in, mistakes_of, read

FLAG = "true or false is needed"
TEXT = "text is needed"
MAPPING = "a mapping is needed"
ALGORITHM = "should be 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512' or 'EdDSA'"
PURGING = "storage.maintenance.uploadpurging"


def test_all_mistakes_come_at_once() -> None:
    text = """
http: {addr: [1], prefix: registry, draintimeout: soon}
storage: {filesystem: {maxthreads: many}, delete: {enabled: 1}, maintenance: {readonly: {}}}
validation: {manifests: {referencelimit: -1, urls: {allow: ['(']}}}
auth: {silly: {realm: r}}
loglevel: loud
"""
    assert list(mistakes_in(text)) == [
        "version",
        "storage.maintenance.readonly.enabled",
        "storage.filesystem.maxthreads",
        "auth.silly.service",
        "loglevel",
        "http.addr",
        "http.prefix",
        "http.draintimeout",
        "storage.delete.enabled",
        "validation.manifests.referencelimit",
        "validation.manifests.urls.allow[0]",
    ]


@pytest.mark.parametrize("version", ["0.1", "'0.1'", "0.1.1", '"0.1.7"'])
def test_version_0_1_is_the_version(version: str) -> None:
    assert load(f"version: {version}\nstorage: inmemory", {}).config.version == "0.1"


@pytest.mark.parametrize("version", ["0.2", "1", "0.10", "'0'", "x", "[0.1]", "{a: 1}", "yes", "''", "0.1e0", "00.1"])
def test_other_versions_are_refused(version: str) -> None:
    assert mistakes_in(f"version: {version}\nstorage: inmemory") == {
        "version": "unsupported version; the only one is 0.1"
    }


@pytest.mark.parametrize("text", ["", "version:\n"])
def test_the_version_is_needed(text: str) -> None:
    assert mistakes_in(f"{text}storage: inmemory") == {"version": "is needed; write version: 0.1"}


@pytest.mark.parametrize(
    "storage", ["", "storage:", "storage: {}", "storage: []", "storage: 5", "storage: {delete: {enabled: true}}"]
)
def test_a_storage_is_needed(storage: str) -> None:
    assert mistakes_in(f"version: 0.1\n{storage}") == {
        "storage": "no storage configuration provided; name one driver, such as filesystem"
    }


@pytest.mark.parametrize("storage", ["{filesystem: , inmemory: }", "{inmemory: {}, filesystem: {}, delete: {}}"])
def test_two_storages_are_refused(storage: str) -> None:
    assert mistakes_of(f"storage: {storage}") == {
        "storage": "must provide exactly one storage type. Provided: [filesystem inmemory]"
    }


def test_a_common_section_that_is_misspelt_is_taken_for_a_second_storage_and_hinted_at() -> None:
    assert mistakes_of("storage: {inmemory: , deletes: {enabled: true}}") == {
        "storage": "must provide exactly one storage type. Provided: [deletes inmemory]; did you mean delete?"
    }


@pytest.mark.parametrize("storage", ["swift", "{swift: {authurl: x}}", "{swift: }", "driver", "name", "{name: x}"])
def test_an_unknown_storage_is_refused_and_the_known_ones_named(storage: str) -> None:
    (message,) = mistakes_of(f"storage: {storage}").values()
    assert message.startswith("StorageDriver not registered: ")
    assert message.endswith("; there are filesystem, inmemory, s3, s3aws, s3_v2, gcs, azure, azure_v2")


@pytest.mark.parametrize("storage", ["filesystem", "{filesystem: }", "{filesystem: {}}", "{filesystem: , delete: }"])
def test_a_storage_may_be_a_bare_word(storage: str) -> None:
    assert read(f"storage: {storage}").config.storage.driver == FilesystemSection()


@pytest.mark.parametrize(("given", "used"), [(1, 25), (-5, 25), (25, 25), (26, 26), ("'200'", 200)])
def test_too_few_threads_are_raised_to_25(given: object, used: int) -> None:
    driver = cast("FilesystemSection", read(f"storage: {{filesystem: {{maxthreads: {given}}}}}").config.storage.driver)
    assert driver.maxthreads == used


@pytest.mark.parametrize(
    ("storage", "mistakes"),
    [
        ("s3", {"storage.s3.bucket": "is needed"}),
        ("{s3: {bucket: b}}", {"storage.s3": "region is needed unless regionendpoint is given"}),
        ("{s3: {region: r, bucket: ''}}", {"storage.s3.bucket": "must not be empty"}),
        (
            "{s3aws: {region: r, bucket: b, chunksize: 5}}",
            {"storage.s3aws.chunksize": "should be greater than or equal to 5242880"},
        ),
        ("{s3_v2: {region: r, bucket: b, secure: maybe}}", {"storage.s3_v2.secure": FLAG}),
        ("{gcs: }", {"storage.gcs.bucket": "is needed"}),
        ("{gcs: {bucket: b, chunksize: 5}}", {"storage.gcs.chunksize": "should be a multiple of 262144"}),
        ("{gcs: {bucket: b, chunksize: 0}}", {"storage.gcs.chunksize": "should be greater than or equal to 262144"}),
        (
            "{gcs: {bucket: b/c}}",
            {"storage.gcs.bucket": "a bucket has no slash in its name: what comes after it belongs into rootdirectory"},
        ),
        (
            "{gcs: {bucket: b, keyfile: /k, credentials: {type: service_account}}}",
            {"storage.gcs": "keyfile and credentials are two accounts; keep one of them"},
        ),
        (
            "{gcs: {bucket: b, credentials: {type: [a]}}}",
            {"storage.gcs.credentials": "each value is text, as in the key file"},
        ),
        ("azure", {"storage.azure.container": "is needed"}),
        ("{filesystem: 5}", {"storage.filesystem": MAPPING}),
        ("{filesystem: [a]}", {"storage.filesystem": MAPPING}),
        ("{filesystem: {rootdirectory: [a]}}", {"storage.filesystem.rootdirectory": TEXT}),
    ],
)
def test_parameters_of_a_driver_are_checked(storage: str, mistakes: dict[str, str]) -> None:
    assert mistakes_of(f"storage: {storage}") == mistakes


def test_parameters_of_a_driver_may_be_in_quotes() -> None:
    driver = read("storage: {s3: {bucket: b, region: r, secure: 'False', chunksize: '6000000'}}").config.storage.driver
    assert driver.model_dump(include={"secure", "chunksize"}) == {"secure": False, "chunksize": 6_000_000}


@pytest.mark.parametrize(
    ("auth", "kind"),
    [
        ("none", NoAuth),
        ("{none: }", NoAuth),
        ("{none: {}}", NoAuth),
        ("{silly: {realm: r, service: s}}", SillyAuth),
        ("{token: {realm: r, service: s, issuer: i, jwks: j}}", TokenAuth),
        ("{htpasswd: {realm: r, path: p}}", HtpasswdAuth),
        ("", type(None)),
        ("~", type(None)),
    ],
)
def test_one_scheme_is_chosen(auth: str, kind: type) -> None:
    assert type(read(f"auth: {auth}").config.auth) is kind


@pytest.mark.parametrize(
    ("auth", "mistakes"),
    [
        ("{}", {"auth": "must provide exactly one type. Provided: []; there are none, silly, token, htpasswd"}),
        ("[none]", {"auth": "must provide exactly one type. Provided: []; there are none, silly, token, htpasswd"}),
        ("no", {"auth": "must provide exactly one type. Provided: []; there are none, silly, token, htpasswd"}),
        (
            "{none: , silly: }",
            {"auth": "must provide exactly one type. Provided: [none silly]; there are none, silly, token, htpasswd"},
        ),
        (
            "{none: , ldap: }",
            {"auth": "must provide exactly one type. Provided: [ldap none]; there are none, silly, token, htpasswd"},
        ),
        ("ldap", {"auth": "there is no 'ldap'; there are none, silly, token, htpasswd"}),
        ("{ldap: {}}", {"auth": "there is no 'ldap'; there are none, silly, token, htpasswd"}),
        ("silly", {"auth.silly.realm": "is needed", "auth.silly.service": "is needed"}),
        (
            "{token: {realm: '', service: s}}",
            {"auth.token.realm": "must not be empty", "auth.token.issuer": "is needed"},
        ),
        ("{token: [a]}", {"auth.token": MAPPING}),
        (
            "{token: {realm: r, service: s, issuer: i, autoredirect: 'yes'}}",
            {"auth.token.autoredirect": FLAG},
        ),
        (
            "{token: {realm: r, service: s, issuer: i, jwks: j, signingalgorithms: [HS256]}}",
            {"auth.token.signingalgorithms[0]": ALGORITHM},
        ),
        (
            "{token: {realm: r, service: s, issuer: i}}",
            {"auth.token.rootcertbundle": "is needed, or auth.token.jwks: tokens are trusted by it"},
        ),
        (
            "{token: {realm: r, service: s, issuer: i, jwks: j, autoredirect: true, autoredirectpath: token}}",
            {"auth.token.autoredirectpath": "a path that begins with / is needed"},
        ),
    ],
)
def test_a_scheme_that_cannot_be_used_is_refused(auth: str, mistakes: dict[str, str]) -> None:
    assert mistakes_of(f"auth: {auth}") == mistakes


@pytest.mark.parametrize("missing", ["age", "interval", "dryrun"])
@pytest.mark.parametrize("enabled", ["enabled: true, ", ""])
def test_uploadpurging_is_given_whole(missing: str, enabled: str) -> None:
    given = {"age": "1h", "interval": "1h", "dryrun": "false"}
    pairs = ", ".join(f"{key}: {value}" for key, value in given.items() if key != missing)
    assert mistakes_of(f"storage: {{inmemory: , maintenance: {{uploadpurging: {{{enabled}{pairs}}}}}}}") == {
        f"{PURGING}.{missing}": "is needed if uploadpurging is given"
    }


def test_uploadpurging_that_is_off_needs_nothing_else() -> None:
    loaded = read("storage: {inmemory: , maintenance: {uploadpurging: {enabled: false}}}")
    assert not loaded.config.storage.maintenance.uploadpurging.enabled


@pytest.mark.parametrize(
    ("purging", "mistakes"),
    [
        ("", {PURGING: MAPPING}),
        ("true", {PURGING: MAPPING}),
        ("{enabled: 'no', age: 1h, interval: 1h, dryrun: false}", {f"{PURGING}.enabled": FLAG}),
        (
            "{enabled: true, age: -1h, interval: 1h, dryrun: false}",
            {f"{PURGING}.age": "a duration of at least 0 is needed"},
        ),
        (
            "{enabled: true, age: 1h, interval: 0, dryrun: false}",
            {f"{PURGING}.interval": "a duration of more than 0 is needed"},
        ),
        ("{enabled: true, age: 1h, interval: 1h, dryrun: 0}", {f"{PURGING}.dryrun": FLAG}),
    ],
)
def test_uploadpurging_is_checked(purging: str, mistakes: dict[str, str]) -> None:
    assert mistakes_of(f"storage: {{inmemory: , maintenance: {{uploadpurging: {purging}}}}}") == mistakes


@pytest.mark.parametrize(
    ("readonly", "mistakes"),
    [
        ("", {"storage.maintenance.readonly": MAPPING}),
        ("true", {"storage.maintenance.readonly": MAPPING}),
        ("{}", {"storage.maintenance.readonly.enabled": FLAG}),
        ("{enabled: }", {"storage.maintenance.readonly.enabled": FLAG}),
        ("{enabled: 'true'}", {"storage.maintenance.readonly.enabled": FLAG}),
        ("{enabled: 1}", {"storage.maintenance.readonly.enabled": FLAG}),
    ],
)
def test_readonly_is_a_boolean(readonly: str, mistakes: dict[str, str]) -> None:
    assert mistakes_of(f"storage: {{inmemory: , maintenance: {{readonly: {readonly}}}}}") == mistakes


@pytest.mark.parametrize("word", ["true", "yes", "on", "True", "ON"])
def test_a_boolean_is_written_as_in_yaml_1_1(word: str) -> None:
    loaded = read(f"storage: {{inmemory: , maintenance: {{readonly: {{enabled: {word}}}}}}}")
    assert loaded.config.storage.maintenance.readonly.enabled


def test_adoption_needs_a_database_for_good_and_may_write() -> None:
    for enabled in ("false", "prefer"):
        found = mistakes_of(f"database: {{adopt: true, enabled: {enabled}, sqlite: /m.db}}")
        assert found == {"database.adopt": "needs database.enabled: true: it names no place to take the images over to"}
    read_only = "storage: {inmemory: {}, maintenance: {readonly: {enabled: true}}}"
    found = mistakes_in(f"version: 0.1\n{read_only}\ndatabase: {{adopt: true, enabled: true, sqlite: /m.db}}")
    assert list(found) == ["database.adopt"]
    assert "readonly" in found["database.adopt"]


def test_the_debug_address_is_another_than_the_registrys() -> None:
    same = "http: {addr: '127.0.0.1:5000', debug: {addr: '127.0.0.1:5000'}}"
    said = {"http.debug.addr": "127.0.0.1:5000 is http.addr too; another port is needed, such as 5001"}
    assert mistakes_of(same) == said
    assert mistakes_of(same.replace("5000", "0")) == {}  # Whatever is free.
    assert mistakes_of("http: {net: unix, addr: '127.0.0.1:5000', debug: {addr: '127.0.0.1:5000'}}") == {}


def test_a_placeholder_of_a_guide_is_no_place_of_images() -> None:
    said = "is a guide's placeholder in angle brackets; write your own value"
    assert mistakes_in("version: 0.1\nstorage: {filesystem: {rootdirectory: <your_registry_storage_path>}}") == {
        "storage.filesystem.rootdirectory": said
    }
    bucket = "{bucket: '<your_s3_bucket>', region: eu-west-1, secretkey: 'a<b>c', accesskey: a}"
    assert mistakes_in(f"version: 0.1\nstorage: {{s3: {bucket}}}") == {"storage.s3.bucket": said}
