"""Settings of the Linux package: the values that count in the end, and which of them nobody asked for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from moorage.errors import Mistake
from moorage.gitlab_site.gitlab_rb import RubyAssignment
from moorage.gitlab_site.ruby_literals import RubyValue

_OURS = ("registry", "registry_nginx", "registry_external_url")
_OURS_OF_RAILS = ("registry_", "gitlab_default_projects_features_container_registry")


@dataclass(frozen=True, slots=True)
class UnknownSetting:
    """A setting of the registry that has no place here."""

    line: int
    name: str


class PackageSettings:
    """All assignments of a file; of two for one setting, the later one counts."""

    def __init__(self, assignments: Sequence[RubyAssignment]) -> None:
        self._values: dict[str, RubyValue] = {}
        self._lines: dict[tuple[str, ...], tuple[int, str]] = {}
        self._asked: set[tuple[str, ...]] = set()
        self.mistakes: list[Mistake] = []
        """Settings with a value that cannot be used."""
        for one in assignments:
            self._set(one)

    def _set(self, one: RubyAssignment) -> None:
        if not one.keys:
            self._values[one.name] = one.value
        else:
            place = self._values.setdefault(one.name, {})
            for key in one.keys[:-1]:
                if isinstance(place, dict):
                    place = place.setdefault(key, {})
            if isinstance(place, dict):
                place[one.keys[-1]] = one.value
        self._lines[(one.name, *one.keys[:1])] = (one.line, one.shown)

    def value(self, name: str, key: str = "") -> RubyValue:
        """Return what is set, or None; it counts as asked for."""
        self._asked.add((name, key) if key else (name,))
        found = self._values.get(name)
        if not key:
            return found
        return found.get(key) if isinstance(found, Mapping) else None

    def text(self, name: str, key: str = "", default: str = "") -> str:
        """Return a string; a number counts as its digits."""
        found = self.value(name, key)
        if isinstance(found, bool) or not isinstance(found, str | int | None):
            self.object(name, key, "must be a string")
            return default
        return default if found is None or found == "" else str(found)

    def flag(self, name: str, key: str, *, default: bool) -> bool:
        """Return true or false."""
        found = self.value(name, key)
        if not isinstance(found, bool | None):
            self.object(name, key, "must be true or false, without quotation marks")
            return default
        return default if found is None else found

    def port(self, name: str, key: str) -> int | None:
        """Return the number of a port, also from a string of digits."""
        found = self.text(name, key)
        if not found:
            return None
        if not (found.isascii() and found.isdecimal() and 0 < int(found) < 1 << 16):
            self.object(name, key, "must be a port, 1 to 65535")
            return None
        return int(found)

    def mapping(self, name: str, key: str) -> Mapping[str, RubyValue]:
        """Return a hash; empty if it is not set."""
        found = self.value(name, key)
        if not isinstance(found, Mapping | None):
            self.object(name, key, "must be a hash, such as { 'name' => 'value' }")
            return {}
        return found or {}

    def object(self, name: str, key: str, message: str) -> None:
        """Note a mistake, with the line of its setting."""
        line, shown = self._lines.get((name, key) if key else (name,), (0, ""))
        shown = shown or (f"{name}['{key}']" if key else name)
        self.mistakes.append(Mistake(f"line {line}: {shown}" if line else shown, message))

    def located(self, mistake: Mistake) -> Mistake:
        """Return a mistake about a setting, with the line of that setting."""
        lines = [line for line, shown in self._lines.values() if shown == mistake.path]
        return Mistake(f"line {lines[-1]}: {mistake.path}", mistake.message) if lines else mistake

    def unknown(self) -> Iterator[UnknownSetting]:
        """Yield the settings of the registry that nobody has asked for."""
        for path, (line, shown) in self._lines.items():
            if path not in self._asked and _is_ours(path):
                yield UnknownSetting(line, shown)

    def number_of_others(self) -> int:
        """Count the settings that are about something else than the registry."""
        return sum(path not in self._asked and not _is_ours(path) for path in self._lines)


def _is_ours(path: tuple[str, ...]) -> bool:
    return path[0] in _OURS or (path[0] == "gitlab_rails" and len(path) > 1 and path[1].startswith(_OURS_OF_RAILS))
