"""The file as YAML: what was written is kept, and no file can hang the start or show a secret."""

import pytest

from moorage.config import load
from moorage.config.documents import NODE_LIMIT, NotYAML, WrittenValue, plain, read_document
from moorage.errors import ConfigurationError
from unit.config.reading import mistakes_in, mistakes_of, read

BASE = "version: 0.1\nstorage: inmemory\n"


@pytest.mark.parametrize(
    "text",
    [
        "0777",
        "007",
        "1e3",
        "1.0e+3",
        "1_000",
        "0x1F",
        "12:30:45",
        "2001-01-01",
        "yes",
        "NO",
        "off",
        "True",
        "12.10",
        ".5",
    ],
)
def test_a_password_of_digits_stays_as_it_was_written(text: str) -> None:
    assert read(f"database: {{password: {text}}}").config.database.password == text
    assert read("", REGISTRY_DATABASE_PASSWORD=text).config.database.password == text


def test_text_in_a_list_stays_as_it_was_written() -> None:
    loaded = read(
        "http: {tls: {certificate: /c, key: /k, clientcas: [010, yes, 1.10]}, headers: {X-One: [1.10, no], X-Two: 007}}"
    )
    assert loaded.config.http.tls.clientcas == ["010", "yes", "1.10"]
    assert loaded.config.http.headers == {"X-One": ("1.10", "no"), "X-Two": ("007",)}


def test_a_key_stays_as_it_was_written() -> None:
    assert read("log: {fields: {on: 1, 010: 2, ~: 3}}").config.log.fields == {"on": 1, "010": 2, "None": 3}


def test_values_of_free_mappings_mean_what_yaml_says() -> None:
    fields = read("log: {fields: {a: 5, b: true, c: [1.5, {d: 010}], e: 2001-01-01, f: 1:30}}").config.log.fields
    assert fields == {"a": 5, "b": True, "c": [1.5, {"d": 8}], "e": "2001-01-01", "f": "1:30"}


def test_numbers_of_base_60_are_no_numbers() -> None:
    assert mistakes_of("validation: {manifests: {referencelimit: 1:30}}") == {
        "validation.manifests.referencelimit": "a whole number is needed"
    }


def test_numbers_of_more_than_64_bits_are_no_numbers() -> None:
    assert mistakes_of(f"validation: {{manifests: {{referencelimit: {10**30}}}}}") == {
        "validation.manifests.referencelimit": "a whole number is needed"
    }


def test_a_merged_section_is_read() -> None:
    loaded = read("redis:\n  cache: &c {addr: a, db: 1}\n  ratelimiter: {<<: *c, db: 2}\n")
    assert (loaded.config.redis.ratelimiter.addr, loaded.config.redis.ratelimiter.db) == ("a", 2)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a: &a {b: *a}",
        "log: &a {fields: *a}",
        "&a [b, *a]",
        "a: &a {<<: *a}",
        "redis: &a {cache: *a, <<: {cache: *a}}",
        "? &a [*a]\n: 1",
    ],
)
def test_a_file_that_refers_to_itself_is_refused(text: str) -> None:
    (message,) = mistakes_in(text).values()
    assert message == "not YAML: it refers to itself"


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_a_bomb_of_aliases_is_refused_and_not_opened(opening: str, closing: str) -> None:
    lines = ["x0: &x0 lol"]
    for level in range(1, 30):
        inner = ", ".join(f"{'' if opening == '[' else f'k{i}: '}*x{level - 1}" for i in range(9))
        lines.append(f"x{level}: &x{level} {opening[0]}{inner}{closing}")
    assert mistakes_in("\n".join([*lines, "log: {fields: {bomb: *x29}}"])).popitem()[1] == (
        f"not YAML: it has more than {NODE_LIMIT} values"
    )


def test_a_bomb_of_merges_is_refused_at_once() -> None:
    lines = ["x0: &x0 {a: 1}"]
    lines += [f"x{level}: &x{level} {{<<: [{', '.join([f'*x{level - 1}'] * 9)}]}}" for level in range(1, 30)]
    assert "values" in mistakes_in("\n".join(lines)).popitem()[1]


@pytest.mark.parametrize(
    "text", ["[" * 5_000, "a: " + "{b: " * 5_000, "log: {fields: " + "[" * 5_000 + "]" * 5_000 + "}"]
)
def test_a_file_that_is_nested_too_deep_is_refused(text: str) -> None:
    assert mistakes_in(text).popitem()[1] in ("not YAML: it is nested too deep", "not YAML: it refers to itself")


def test_a_variable_that_is_nested_too_deep_is_named() -> None:
    assert list(mistakes_of("", REGISTRY_LOG_FIELDS="[" * 5_000)) == ["REGISTRY_LOG_FIELDS"]


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: b: c",
        "{",
        "a: 'b",
        "\ta: 1",
        "--- a\n--- b",
        "a: @b",
        "a: %b",
        "\x00",
        "a: \x07",
        "a\n- b\n:",
        "!!int x",
    ],
)
def test_what_is_not_yaml_is_one_mistake(text: str) -> None:
    (message,) = mistakes_in(text).values()
    assert message.startswith("not YAML: ")


def test_the_line_is_named() -> None:
    assert list(mistakes_in(f"{BASE}http:\n  addr: [\n")) == ["line 5"]
    assert list(mistakes_in(f"{BASE}http:\n  addr: ]\n")) == ["line 4"]


@pytest.mark.parametrize(
    "text",
    [
        "!!int x",
        "!!float x",
        "!!bool x",
        "!!int ''",
        "!!map x",
        "!!seq x",
        "!!bool [a]",
        "!!str [a]",
        "!!float '::'",
        "0x_",
    ],
)
def test_a_value_that_is_not_what_its_tag_says_is_refused(text: str) -> None:
    with pytest.raises(NotYAML):
        read_document(f"a: {text}")


@pytest.mark.parametrize("text", ["!!python/object:os.system x", "!!binary eA==", "!!set {a}", "!env X", "!<tag:x> y"])
def test_unknown_tags_are_refused(text: str) -> None:
    with pytest.raises(NotYAML, match="a tag that is not known here"):
        read_document(f"a: {text}")


@pytest.mark.parametrize(
    "value", ["*hunter2", "!hunter2", "!a!hunter2 x", "&hunter2 *hunter3", '"hunter2', "'hunter2", "%hunter2"]
)
def test_a_secret_that_is_no_yaml_is_not_shown(value: str) -> None:
    shown = str([*mistakes_in(f"{BASE}http: {{secret: {value}}}").items()])
    assert "hunter" not in shown
    assert "line " in shown
    shown = str(mistakes_of("", REGISTRY_HTTP_SECRET=value))
    assert "hunter" not in shown
    assert "REGISTRY_HTTP_SECRET" in shown


@pytest.mark.parametrize(
    ("value", "hint"), [("*hunter2", r"begins with \* needs quotes"), ("!hunter2", "begins with ! needs quotes")]
)
def test_what_needs_quotes_is_said(value: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint):
        load(f"{BASE}http:\n  secret: {value}\n", {})


def test_what_is_expected_is_said() -> None:
    assert mistakes_in("a: [b") == {"line 1": "not YAML: expected ',' or ']', but got '<stream end>'"}
    assert mistakes_in("a: @b") == {"line 1": "not YAML: found character '@' that cannot start any token"}


@pytest.mark.parametrize("text", ["[]", "- a", "5", "text", "yes", "2001-01-01"])
def test_a_file_that_is_no_mapping_is_refused(text: str) -> None:
    assert mistakes_in(text) == {"": "the file must be a mapping of keys, such as version: 0.1"}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "null", "{}"])
def test_an_empty_file_lacks_what_is_needed(text: str) -> None:
    assert list(mistakes_in(text)) == ["version", "storage"]


def test_an_empty_file_is_enough_with_variables() -> None:
    assert load("", {"REGISTRY_VERSION": "0.1", "REGISTRY_STORAGE": "inmemory"}).config.storage.name == "inmemory"


def test_a_word_is_what_it_means_and_what_was_written() -> None:
    assert read_document("[yes, 0777, 1.50, '1', ~]") == [
        WrittenValue(value=True, text="yes"),
        WrittenValue(value=511, text="0777"),
        WrittenValue(value=1.5, text="1.50"),
        "1",
        None,
    ]
    assert plain({"a": [WrittenValue(value=True, text="yes")], WrittenValue(value=1, text="01"): None}) == {
        "a": [True],
        "01": None,
    }
