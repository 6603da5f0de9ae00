"""``gitlab.rb`` read as text: literals have their values, all else is named with its line and never run."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.gitlab_site.gitlab_rb import read_gitlab_rb
from moorage.gitlab_site.ruby_literals import RubyValue


def value_of(text: str) -> RubyValue:
    found = read_gitlab_rb(f"registry['x'] = {text}\nregistry['next'] = 1\n")
    assert found.not_understood == []
    assert [one.shown for one in found.assignments] == ["registry['x']", "registry['next']"]
    return found.assignments[0].value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'it''s'", "its"),
        (r"'a\'b\\c\n'", "a'b\\c\\n"),
        (r'"a\tb\n\"\u00e9\u{1F433}\x41\e"', 'a\tb\n"é\U0001f433A\x1b'),
        ("'#{not} read'", "#{not} read"),
        ("true", True),
        ("false", False),
        ("nil", None),
        ("1_000", 1000),
        ("-5", -5),
        ("0644", 0o644),
        ("0x1F", 31),
        ("2.5e3", 2500.0),
        (":info", "info"),
        (":'a b'", "a b"),
        ("%w(a b  c)", ["a", "b", "c"]),
        ("%i[a b]", ["a", "b"]),
        ("%q{a {b} c}", "a {b} c"),
        ("[]", []),
        ("[1, 'b', [nil,],]", [1, "b", [None]]),
        ("{}", {}),
        ("{ 'a' => 1, b: 2, \"c\": 3, :d => 4, 5 => 'e' }", {"a": 1, "b": 2, "c": 3, "d": 4, "5": "e"}),
        ("{ # why\n  'a' => { # }\n    'b' => [ # ]\n 1 ] },\n  # 'c' => 2\n}", {"a": {"b": [1]}}),
        ("<<~KEY\n    a\n      b\n\n    c\n  KEY", "a\n  b\n\nc\n"),
        ("<<-'KEY'\n  a#{b}\\n\n  KEY", "  a#{b}\\n\n"),
        ("<<KEY\na\\tb\nKEY", "a\tb\n"),
        ("\n  'below'", "below"),
        ("'a' # said", "a"),
        ("'a';", "a"),
    ],
)
def test_a_literal_has_its_value(text: str, value: RubyValue) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("File.read('/etc/passwd')", "File is not a literal"),
        ("`id`", "'`' begins no literal"),
        ("\"#{ENV['X']}\"", "#{…}"),
        ("'a' + 'b'", "more than a literal"),
        ("'a'.freeze", "more than a literal"),
        ("false if node", "more than a literal"),
        ("nil.to_s", "nil is not a literal"),
        ("OpenSSL::PKey::RSA.new(4096)", "OpenSSL is not a literal"),
        ("{ 'a' 1 }", "=> is missing"),
        ("[1 2]", "a comma is missing"),
        ("{ nil => 1 }", "a key must be a string"),
        (r'"\u{110000}"', "no character"),
        (r'"\ud800"', "no character"),
        ("registry['y']", "registry is not a literal"),
        ("[" * 60 + "]" * 60, "in each other"),
    ],
)
def test_what_only_ruby_knows_is_named_and_the_next_line_counts(text: str, reason: str) -> None:
    found = read_gitlab_rb(f"registry['x'] = {text}\n\nregistry['next'] = 1\n")
    assert [(one.line, one.about) for one in found.not_understood][:1] == [(1, "registry['x']")]
    assert reason in found.not_understood[0].reason
    assert [one.shown for one in found.assignments] == ["registry['next']"]


def test_a_setting_under_a_condition_is_not_taken() -> None:
    text = """
if node['x']
  registry['enable'] = false
  [1].each do |x|
    registry['enable'] = x
  end
else
  registry['enable'] = false
end
registry['enable'] = true
unless a then registry['enable'] = false end
"""
    found = read_gitlab_rb(text)
    assert [(one.line, one.value) for one in found.assignments] == [(10, True)]
    assert {one.line for one in found.not_understood} >= {2, 3, 4, 5, 6, 7, 8, 9, 11}


def test_a_secret_is_in_no_message() -> None:
    found = read_gitlab_rb("registry['internal_key'] = 'hunter2' + x\nregistry['http_secret'] = 'hunter3'\n")
    assert "hunter" not in repr(found)


def test_a_long_value_that_is_not_understood_is_one_remark() -> None:
    found = read_gitlab_rb("registry['storage'] = {\n 's3' => { 'bucket' => name },\n 'b' => '}',\n}\nx = 1\n")
    assert [one.line for one in found.not_understood] == [1]
    assert [one.name for one in found.assignments] == ["x"]


@pytest.mark.parametrize("operator", ["||=", "+=", "<<", "=="])
def test_only_an_assignment_assigns(operator: str) -> None:
    found = read_gitlab_rb(f"registry['x'] {operator} 'a'\n")
    assert found.assignments == []
    assert len(found.not_understood) == 1


def test_comments_and_the_end_are_left_out() -> None:
    text = "=begin\nregistry['a'] = 1\n=end\nregistry['b'] = 2\n__END__\nregistry['c'] = 3\n"
    assert [one.shown for one in read_gitlab_rb(text).assignments] == ["registry['b']"]


@given(st.text(alphabet=string.printable + "é", max_size=80))
def test_any_text_is_read_to_its_end(text: str) -> None:
    found = read_gitlab_rb(text)
    lines = [*(one.line for one in found.assignments), *(one.line for one in found.not_understood)]
    assert all(0 < line <= text.count("\n") + 1 for line in lines)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=8))
def test_what_is_written_as_ruby_is_read_again(value: RubyValue) -> None:
    assert value_of(as_ruby(value)) == value


def as_ruby(value: RubyValue) -> str:
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, list):
        return "[" + ", ".join(as_ruby(one) for one in value) + "]"
    return "nil" if value is None else str(value).lower()
