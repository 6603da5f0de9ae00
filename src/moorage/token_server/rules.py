"""The rules: users, patterns of repositories, actions. Whatever no rule allows is not allowed."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from moorage.config.documents import NotYAML, plain, read_document
from moorage.config.messages import mistakes_of
from moorage.config.section import Section, now
from moorage.errors import Mistake
from moorage.token_server.patterns import USER, check_pattern, matches, place_of
from moorage.token_server.scopes import Scope

EVERYBODY = "anonymous"
"""In a rule: everybody, with a password or without."""
WITH_PASSWORD = "*"  # noqa: S105 - no password
"""In a rule: everybody with a password."""

FILE_LIMIT_BYTES = 1 << 20
_RULES_LIMIT = 1000

_EACH = ("pull", "push", "delete")
_ALL = "*"

RepositoryAction = Literal["pull", "push", "delete", "*"]
RegistryPart = Literal["catalog", "statistics"]


class RulesInvalid(ValueError):
    """A file that is no file of rules; carries every mistake."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


class Rule(Section):
    """One rule of the file."""

    model_config = ConfigDict(extra="forbid")

    users: Annotated[list[str], Field(min_length=1)] = now(..., "Names, `@group`, `*` or `anonymous`.")
    repositories: list[Annotated[str, AfterValidator(check_pattern)]] = now([], "Patterns of names.")
    actions: list[RepositoryAction] = now([], "What may be done there.")
    registry: list[RegistryPart] = now([], "What of the registry as a whole can be seen.")

    @model_validator(mode="after")
    def _allows_something(self) -> "Rule":
        if bool(self.repositories) != bool(self.actions) or not (self.repositories or self.registry):
            msg = "allows nothing; give repositories with actions, or registry"
            raise ValueError(msg)
        return self


class _File(Section):
    model_config = ConfigDict(extra="forbid")

    groups: dict[str, list[str]] = now({}, "The users of each group.")
    rules: Annotated[list[Rule], Field(max_length=_RULES_LIMIT)] = now(..., "The rules, of which one is enough.")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Decision on one action, and the reason."""

    action: str
    is_allowed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Rules:
    """A file of rules, read."""

    rules: Sequence[Rule]
    groups: Mapping[str, Sequence[str]]

    @classmethod
    def parse(cls, content: bytes) -> "Rules":
        """Read a file.

        Raises:
            RulesInvalid: it cannot be used; with every mistake.
        """
        try:
            value = plain(read_document(content.decode("utf-8-sig")))
            found = _File.model_validate({} if value is None else value)
        except UnicodeDecodeError:
            raise RulesInvalid([Mistake("", "it is not UTF-8 text")]) from None
        except NotYAML as exc:
            raise RulesInvalid([Mistake(f"line {exc.line}" if exc.line else "", f"not YAML: {exc}")]) from None
        except ValidationError as exc:
            known = [*_File.model_fields, *Rule.model_fields]
            raise RulesInvalid(list(mistakes_of(exc, "", known=known))) from None
        if mistakes := list(_unknown_groups(found)):
            raise RulesInvalid(mistakes)
        return cls(tuple(found.rules), found.groups)

    def granted(self, user: str | None, scope: Scope) -> tuple[str, ...]:
        """The actions of *scope* that a user has, in its order; None is somebody without a password."""
        return tuple(verdict.action for verdict in self.explain(user, scope) if verdict.is_allowed)

    def explain(self, user: str | None, scope: Scope) -> Sequence[Verdict]:
        """Return a verdict on each action of *scope* for a user, with the rule that decides.

        A user who asks for ``*`` and does not have all gets what there is of it.
        """
        if scope.kind == "registry":
            return [self._of_registry(user, scope.name, action) for action in scope.actions]
        if scope.kind != "repository":
            reason = f"{scope.kind} is not known here; there are repository and registry"
            return [Verdict(action, False, reason) for action in scope.actions]
        fitting, verdicts = tuple(self._fitting(user, scope.name)), list[Verdict]()
        for action in scope.actions:
            found = _verdict(action, fitting, f"{_named(user)} on {scope.name}")
            verdicts.append(found)
            if action == _ALL and not found.is_allowed:
                others = [each for each in _EACH if each not in scope.actions]
                verdicts += [_verdict(each, fitting, f"{_named(user)} on {scope.name}") for each in others]
        return verdicts

    def concerns(self, users: Iterable[str]) -> Iterator[str]:
        """Yield a warning where the name of one of *users* makes ``{user}`` in a rule mean what another rule names."""
        fixed = [pattern for rule in self.rules for pattern in rule.repositories if USER not in pattern]
        for user in users:
            for number, rule in enumerate(self.rules, 1):
                if USER in "".join(rule.repositories) and self._who(rule, user):
                    places = {place for pattern in rule.repositories if (place := place_of(pattern, user))}
                    for other in fixed:
                        if any(f"{other}/".startswith(f"{place}/") for place in places):
                            yield f"the user {user[:60]!r} has by {USER} of rule {number} what another calls {other}"

    def _of_registry(self, user: str | None, name: str, action: str) -> Verdict:
        for number, rule in enumerate(self.rules, 1):
            if (who := self._who(rule, user)) and name in rule.registry and action == _ALL:
                return Verdict(action, True, f"rule {number}: {who}, registry {name}")
        return Verdict(action, False, f"no rule for {_named(user)} has registry: [{name}]")

    def _fitting(self, user: str | None, name: str) -> Iterator["_Fitting"]:
        for number, rule in enumerate(self.rules, 1):
            if who := self._who(rule, user):
                for pattern in rule.repositories:
                    if matches(pattern, name, user):
                        yield _Fitting(number, rule, f"{who}, {pattern}")

    def _who(self, rule: Rule, user: str | None) -> str:
        """By which word of a rule a user is meant; empty: by none."""
        for word in rule.users:
            if word == EVERYBODY or (user is not None and self._is_meant(word, user)):
                return word
        return ""

    def _is_meant(self, word: str, user: str) -> bool:
        # A user whose name begins with @ is meant by no word: it would be a way into a group.
        return user in self.groups.get(word[1:], ()) if word.startswith("@") else word in (WITH_PASSWORD, user)


class _Fitting(NamedTuple):
    """A rule that is for a user and a repository, whatever it allows."""

    number: int
    rule: Rule
    why: str

    def allows(self, action: str) -> bool:
        return action in self.rule.actions or (_ALL in self.rule.actions and action in _EACH)


def _verdict(action: str, fitting: Sequence[_Fitting], whom: str) -> Verdict:
    needed = _EACH if action == _ALL else (action,)
    by = {each: next((found for found in fitting if found.allows(each)), None) for each in needed}
    missing = [each for each, found in by.items() if found is None]
    if missing:
        others = [f"; rule {found.number} gives {', '.join(found.rule.actions)}" for found in fitting]
        return Verdict(action, False, f"no rule gives {', '.join(missing)} to {whom}{''.join(dict.fromkeys(others))}")
    reasons = [f"rule {found.number}: {found.why}" for found in by.values() if found is not None]
    return Verdict(action, True, "; ".join(dict.fromkeys(reasons)))


def _unknown_groups(found: _File) -> Iterator[Mistake]:
    for index, rule in enumerate(found.rules):
        for word in rule.users:
            if word.startswith("@") and word[1:] not in found.groups:
                near = difflib.get_close_matches(word[1:], found.groups, n=1)
                hint = f"; did you mean @{near[0]}?" if near else ""
                yield Mistake(f"rules[{index}].users", f"there is no group {word[1:][:60]!r}{hint}")


def _named(user: str | None) -> str:
    return "somebody without a password" if user is None else user
