"""Reading YAML as Go's parser does: what was written is kept beside what it means, and the whole is bounded."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

NODE_LIMIT = 100_000
"""Values that a document may have when every alias is written out."""

_HARMLESS = re.compile(r"""'(?:<[a-z ]+>|[^\w'"]{1,3}|\\?\w)'""", re.ASCII)
"""Parts that a message may quote: a kind of token, a single character."""
_QUOTED = re.compile(r"""["'].*["']""", re.DOTALL)
_TAB = "found character '\\t'"
_INTEGER_BITS = 64
_SPACES, _LINE_ENDS = (" ", "\t"), ("\r", "\n", "\x85", "\u2028", "\u2029")
_PLAIN_KEY = re.compile(r"[A-Za-z_<][\w<.-]{0,39}", re.ASCII)
"""A key that may be shown in a message."""


@dataclass(frozen=True, slots=True)
class WrittenValue:
    """A plain word that YAML takes for a number or a truth value: `0777` may be a password, and `no` a country."""

    value: bool | float
    text: str

    def __str__(self) -> str:
        return self.text


class NotYAML(ValueError):
    """The text is not YAML, or too much of it. The message shows nothing of the text: it may be a secret."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        """The line, from 1; None if it is not known."""


def read_document(text: str) -> object:
    """The value of the only YAML document in *text*: mappings, lists, text, None and ``WrittenValue``.

    Raises:
        NotYAML: it is none, refers to itself, or is larger than ``NODE_LIMIT`` or nested too deep.
    """
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.only_node()
        if node is None:
            return None
        _count(node, {}, set())
        _refuse_twice(node)
        found: object = loader.construct_document(node)
    except yaml.YAMLError as exc:
        raise _not_yaml(exc) from None
    except RecursionError:
        msg = "it is nested too deep"
        raise NotYAML(msg) from None
    finally:
        if loader is not None:
            loader.dispose()
    return found


def plain(value: object) -> object:
    """*value* with what ``WrittenValue`` means in its place."""
    if isinstance(value, WrittenValue):
        return value.value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


class _Loader(yaml.SafeLoader):
    """Knows the tags of JSON's types only, and takes what Go's parser takes and PyYAML does not."""

    yaml_constructors: ClassVar[dict[str | None, Any]] = {}
    bool_values: ClassVar[dict[str, bool]] = {**yaml.SafeLoader.bool_values, "y": True, "n": False}

    def only_node(self) -> Node | None:
        """The document's root. What follows it has to be empty: Go reads the first document and hides the others."""
        if not self.check_node():
            return None
        root: Node | None = self.get_node()
        while self.check_node():
            other = self.get_node()
            if not isinstance(other, ScalarNode) or other.value:
                mark = other.start_mark if other is not None else None
                msg = "a second document; there can be one only"
                raise yaml.composer.ComposerError(None, None, msg, mark)
        return root

    def scan_plain_spaces(self, indent: int, start_mark: yaml.Mark) -> list[str] | None:
        """Read the white space within a plain text; a tab in it is a part of the text, as in Go."""
        length = 0
        while self.peek(length) in _SPACES:
            length += 1
        spaces = self.prefix(length)
        if "\t" not in spaces:
            return super().scan_plain_spaces(indent, start_mark)
        self.forward(length)
        at_end = self.peek() in _LINE_ENDS
        return super().scan_plain_spaces(indent, start_mark) if at_end else [spaces]

    def scan_to_next_token(self) -> None:
        """Go on to the next token. A tab separates as a space does, but where a line begins it would be indentation."""
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or not self.allow_simple_key):
            self.forward()
            super().scan_to_next_token()


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"[yYnN]\Z"), list("yYnN"))


def _written(read: Callable[[_Loader, ScalarNode], bool | float]) -> Callable[[_Loader, ScalarNode], object]:
    def construct(loader: _Loader, node: ScalarNode) -> object:
        try:
            text, value = str(loader.construct_scalar(node)), read(loader, node)
        except (ValueError, LookupError, AttributeError):
            raise _wrong_tag(node) from None
        # Go knows no numbers of base 60, and none of more than 64 bits.
        if ":" in text or (isinstance(value, int) and value.bit_length() > _INTEGER_BITS):
            return text
        return WrittenValue(value, text)

    return construct


def _construct_text(loader: _Loader, node: ScalarNode) -> object:
    text = str(loader.construct_scalar(node))
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise yaml.constructor.ConstructorError(None, None, "an escape that is no character", node.start_mark)
    if "\0" in text:
        msg = "a null character, which no path, name or password can have"
        raise yaml.constructor.ConstructorError(None, None, msg, node.start_mark)
    return text


def _construct_mapping(loader: _Loader, node: Node) -> object:
    if not isinstance(node, MappingNode):
        raise _wrong_tag(node)
    return loader.construct_mapping(node, deep=True)


def _construct_list(loader: _Loader, node: Node) -> object:
    if not isinstance(node, SequenceNode):
        raise _wrong_tag(node)
    return loader.construct_sequence(node, deep=True)


def _wrong_tag(node: Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, "a value that is not what its tag says", node.start_mark)


def _refuse(loader: _Loader, node: Node) -> object:
    del loader
    msg = "a tag that is not known here; a value that begins with ! needs quotes"
    raise yaml.constructor.ConstructorError(None, None, msg, node.start_mark)


_Loader.yaml_constructors = {
    "tag:yaml.org,2002:null": lambda _loader, _node: None,
    "tag:yaml.org,2002:bool": _written(_Loader.construct_yaml_bool),
    "tag:yaml.org,2002:int": _written(_Loader.construct_yaml_int),
    "tag:yaml.org,2002:float": _written(_Loader.construct_yaml_float),
    "tag:yaml.org,2002:str": _construct_text,
    "tag:yaml.org,2002:timestamp": _construct_text,
    "tag:yaml.org,2002:value": _construct_text,
    "tag:yaml.org,2002:map": _construct_mapping,
    "tag:yaml.org,2002:seq": _construct_list,
    None: _refuse,  # PyYAML's key for whatever else there is.
}


def _count(node: Node, counts: dict[int, int], open_nodes: set[int]) -> int:
    """Count the values of *node* with its aliases written out; a list of lists of aliases can be a bomb."""
    if isinstance(node, ScalarNode):
        return 1
    if id(node) in counts:
        return counts[id(node)]
    if id(node) in open_nodes:
        msg = "it refers to itself"
        raise NotYAML(msg, node.start_mark.line + 1)
    open_nodes.add(id(node))
    below = node.value if isinstance(node, SequenceNode) else [item for pair in node.value for item in pair]
    total = 1 + sum(_count(item, counts, open_nodes) for item in below)
    if total > NODE_LIMIT:
        msg = f"it has more than {NODE_LIMIT} values"
        raise NotYAML(msg, node.start_mark.line + 1)
    open_nodes.remove(id(node))
    counts[id(node)] = total
    return total


def _refuse_twice(root: Node) -> None:
    """See that no mapping has a key twice: all but one of the values would be lost in silence."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, SequenceNode):
            waiting += reversed(node.value)
            continue
        lines: dict[str, int] = {}
        for key, value in node.value:
            waiting += [value, key]
            if not isinstance(key, ScalarNode):
                continue
            name, line = "None" if key.tag.endswith(":null") else str(key.value), key.start_mark.line + 1
            if name in lines:
                if name == "<<":
                    msg = f"<< is there twice, in lines {lines[name]} and {line}; write one, such as <<: [*a, *b]"
                    raise NotYAML(msg, line)
                what = f"the key {name}" if _PLAIN_KEY.fullmatch(name) else "a key"
                msg = f"{what} is there twice, in lines {lines[name]} and {line}; one of the two would be ignored"
                raise NotYAML(msg, line)
            lines[name] = line


def _not_yaml(exc: yaml.YAMLError) -> NotYAML:
    mark, problem = getattr(exc, "problem_mark", None), getattr(exc, "problem", None)
    line = mark.line + 1 if mark is not None else None
    if isinstance(exc, yaml.composer.ComposerError) and "alias" in str(problem):
        return NotYAML("an alias of nothing; a value that begins with * needs quotes", line)
    if isinstance(problem, str) and _TAB in problem:
        return NotYAML("a tab where a line begins; write spaces", line)
    if not isinstance(problem, str):
        return NotYAML("it cannot be read" if mark else "it has characters that cannot be in a text", line)
    is_harmless = not _QUOTED.search(_HARMLESS.sub("", problem))
    return NotYAML(problem if is_harmless else _QUOTED.sub("something", problem), line)
