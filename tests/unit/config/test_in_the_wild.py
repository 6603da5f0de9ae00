"""What people write and other registries take, and what nobody should take in silence."""

import pytest

from moorage.auth.passwords import PasswordFile
from moorage.config import load, load_defaults
from moorage.config.documents import read_document
from moorage.errors import ConfigurationError
from unit.config.reading import mistakes_in, read

BASE = "version: 0.1\nstorage: inmemory\n"


@pytest.mark.parametrize(
    "text",
    [
        "http: {tls: {minimumtls: tls1.2}}\nhttp: {addr: ':1'}\n",
        "http: {addr: ':1',\n addr: ':2'}\n",
        "log: {fields: {a: {b: 1,\n b: 2}}}\n",
        'http: {}\n"http": {}\n',
        "log: &a {level: info,\n level: warn}\nredis: {cache: {<<: *a}}\n",
    ],
)
def test_a_key_that_is_there_twice_is_a_mistake_with_both_lines(text: str) -> None:
    ((path, message),) = mistakes_in(BASE + text).items()
    first, second = message.partition("in lines ")[2].partition(";")[0].split(" and ")
    assert (path, int(first) < int(second)) == (f"line {second}", True)


def test_a_key_in_two_spellings_is_a_mistake() -> None:
    assert list(mistakes_in(f"{BASE}http: {{}}\nHTTP: {{addr: ':1'}}\n")) == ["HTTP"]
    assert list(mistakes_in(f"{BASE}http: {{headers: {{X-A: [a], x-a: [b]}}}}\n")) == ["http.headers"]


def test_two_merges_in_one_mapping_are_refused_with_what_to_write() -> None:
    text = "redis: {pool: &a {size: 1}, cache: {pool: &b {size: 2}}, ratelimiter: {pool: {<<: *a,\n <<: *b}}}\n"
    said = mistakes_in(BASE + text)
    assert said == {"line 4": "not YAML: << is there twice, in lines 3 and 4; write one, such as <<: [*a, *b]"}
    assert mistakes_in(BASE + text.replace("<<: *a,\n <<: *b", "<<: [*a, *b]")) == {}


def test_two_variables_for_one_key_are_a_mistake_unless_they_agree() -> None:
    names = {"REGISTRY_HTTP_ADDR": ":1", "registry_http_addr": ":2"}
    assert list(mistakes_in(BASE, **names)) == ["registry_http_addr"]
    assert mistakes_in(BASE, **dict.fromkeys(names, ":1")) == {}


@pytest.mark.parametrize(
    ("text", "value"), [("a\tb", "a\tb"), ("a \t b\t", "a \t b"), ("a\t# b", "a"), ("a\n  b\tc", "a b\tc")]
)
def test_a_tab_within_a_text_is_part_of_it(text: str, value: str) -> None:
    assert read_document(f"k: {text}\n") == {"k": value}


@pytest.mark.parametrize("text", ["k: a\n---\n", "k: a\t\n---\n", "k: a\n...\n"])
def test_a_text_may_be_the_last_before_the_end_of_the_document(text: str) -> None:
    assert read_document(text) == {"k": "a"}


def test_a_mistake_in_the_yaml_does_not_hide_what_is_said_of_variables() -> None:
    with pytest.raises(ConfigurationError) as raised:
        load("a: [", {"REGISTRY_BOGUS": "1"})
    assert raised.value.warnings == ("ignoring unrecognized environment variable REGISTRY_BOGUS",)


@pytest.mark.parametrize("tail", ["---\n", "log: {level: info}\t# a tab\n", "log:\n  level:\tinfo\n", "...\n"])
def test_yaml_that_go_reads_is_read(tail: str) -> None:
    assert mistakes_in(BASE + tail) == {}


def test_values_that_peers_take_are_taken() -> None:
    text = "http: {prefix: /reg, host: 'https://x.example.com/reg/'}\nlog: {formatter: logstash}\n"
    config = read(f"{text}database: {{enabled: n}}\nstorage: {{inmemory: , cache: {{blobdescriptor: none}}}}").config
    assert (config.http.prefix, config.http.host, config.log.formatter) == (
        "/reg/",
        "https://x.example.com",
        "logstash",
    )
    loaded = read("http: {host: 'registry.example.com:5000'}")
    assert (loaded.config.http.host, len(loaded.warnings)) == ("", 1)


@pytest.mark.parametrize("name", ["REGISTRY_DATABASE_PORT", "REGISTRY_PORT", "REGISTRY_AUTH_PORT_5000_TCP"])
def test_variables_of_service_links_are_explained(name: str) -> None:
    loaded = read("", **{name: "tcp://10.0.0.1:5000"})
    assert loaded.config == read("").config
    assert "enableServiceLinks" in loaded.warnings[0]


def test_variables_count_without_a_file() -> None:
    environ = {
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/two",
        "REGISTRY_STORAGE_MAINTENANCE_READONLY": "{enabled: y}",
    }
    config = load_defaults("/one", ":1", environ).config
    assert (config.storage.maintenance.readonly.enabled, config.database.sqlite) == (True, "/two/moorage.db")


@pytest.mark.parametrize(
    "text",
    [
        "proxy: {remoteurl: 'https://registry-1.docker.io'}",
        "policy: {repository: {classes: [image]}}",
        "middleware: {repository: [{name: a}]}",
        "log: {hooks: [{type: mail, levels: [panic]}]}",
    ],
)
def test_what_would_do_harm_in_silence_is_refused(text: str) -> None:
    assert len(read(text).refused) == 1


def test_password_files_may_have_remarks() -> None:
    line = "ann:$2y$05$" + "." * 53
    found = PasswordFile.parse(f"# J\xfcrgen\n{line}:a remark\n".encode("latin-1"))
    assert (list(found.hashes), found.unusable) == (["ann"], 0)
