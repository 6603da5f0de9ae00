"""Whatever the file and the environment hold: a configuration, or ``ConfigurationError``."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moorage.config import describe, load
from moorage.errors import ConfigurationError
from unit.config.reading import put

PATHS = [key.path for key in describe()]
VARIABLES = [key.variable for key in describe()]
SECTIONS = sorted({path.rpartition(".")[0].removesuffix("[]") for path in PATHS} - {""})

yaml_text = st.text(
    alphabet=st.one_of(st.sampled_from(list("{}[]:,-&*!|>'\"%@`#?<\n\t ~=0123456789.yes")), st.characters()),
    max_size=60,
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**25), 10**25),
    st.floats(),
    st.text(max_size=10),
    st.dates(),
    st.datetimes(),
    st.binary(max_size=5),
    st.sampled_from(["inmemory", "filesystem", "s3", "none", "token", "1h", "0.1", "true", "/a/", "https://a", ":1"]),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(leaves, inner, max_size=3)),
    max_leaves=6,
)


def is_read_or_refused(text: str, environ: dict[str, str]) -> None:
    try:
        loaded = load(text, environ)
    except ConfigurationError as exc:
        assert exc.mistakes
        assert all(mistake.message for mistake in exc.mistakes)
    else:
        assert loaded.config.version == "0.1"
        assert repr(loaded)
        json.dumps(loaded.config.log.fields)


@given(yaml_text)
@example("version: 0.1\nstorage: &a {*a : *a}")
@example("? {}\n: 1")
@example("<<: 1")
@example("<<: [1, {}]")
@example("=: 1")
@example("!!null [a]: 1")
@example("!!timestamp x")
@example("!!int 0x")
@example("!!int '-'")
@example("%YAML 3.0\n---\na")
@example("%TAG ! x\n--- !a b")
@example("a: !!merge b")
@example("\ufeffversion: 0.1")
@example("\ud800")
def test_any_text(text: str) -> None:
    is_read_or_refused(text, {})


@given(yaml_text, st.sampled_from(SECTIONS))
@settings(max_examples=50)
def test_any_text_in_a_section(text: str, section: str) -> None:
    indented = text.replace("\n", "\n    ")
    is_read_or_refused(f"version: 0.1\nstorage: inmemory\n{section.partition('.')[0]}:\n    {indented}\n", {})


@given(values)
def test_any_value_as_the_file(value: object) -> None:
    is_read_or_refused(yaml.safe_dump(value), {})


@given(st.dictionaries(st.sampled_from([*PATHS, *SECTIONS]), values, max_size=4))
@settings(max_examples=300)
def test_any_values_at_known_keys(given_values: dict[str, Any]) -> None:
    data: dict[str, Any] = {"version": "0.1"}
    for path, value in given_values.items():
        try:
            put(data, path, value)
        except (TypeError, AttributeError, KeyError, IndexError):  # Something else stands there already.
            continue
    data.setdefault("storage", "inmemory")
    is_read_or_refused(yaml.safe_dump(data), {})


@given(st.dictionaries(st.sampled_from(VARIABLES), st.one_of(yaml_text, values.map(yaml.safe_dump)), max_size=4))
@settings(max_examples=300)
def test_any_values_of_known_variables(environ: dict[str, str]) -> None:
    is_read_or_refused("version: 0.1\nstorage: inmemory\n", environ)


@given(st.dictionaries(st.text(max_size=30).map("REGISTRY_".__add__), yaml_text, max_size=3))
def test_any_variables(environ: dict[str, str]) -> None:
    is_read_or_refused("version: 0.1\nstorage: inmemory\n", environ)


@given(
    st.lists(st.sampled_from(SECTIONS).map(lambda path: path.replace("[]", "_0").replace(".", "_")), max_size=4), values
)
def test_any_sections_by_variables(sections: list[str], value: object) -> None:
    is_read_or_refused("version: 0.1", {f"REGISTRY_{name.upper()}": yaml.safe_dump(value) for name in sections})


@pytest.mark.parametrize(
    "text", ["redis: &a {cache: *a}", "log: {fields: &a {b: [*a]}}", "http: {headers: &a {b: *a}}"]
)
def test_a_section_that_holds_itself_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="it refers to itself"):
        load(f"version: 0.1\nstorage: inmemory\n{text}", {})
