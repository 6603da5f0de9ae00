"""Platforms of images: one that is wanted, as ``linux/arm64/v8``, and the entry of an index that is for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from moorage.errors import ParameterInvalid
from moorage.oci.digests import Digest, digest_or_none

_KEYS = ("os", "architecture", "variant")


@dataclass(frozen=True, slots=True)
class WantedPlatform:
    """An operating system and an architecture, and a variant of it if one is said."""

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``OS/ARCHITECTURE`` or ``OS/ARCHITECTURE/VARIANT``.

        Raises:
            ParameterInvalid: it is neither.
        """
        parts = tuple(text.split("/"))
        if len(parts) not in (2, 3) or not all(parts):
            msg = f"{text} is no platform; give one such as linux/amd64 or linux/arm/v7"
            raise ParameterInvalid(msg)
        return cls(parts)

    def choice(self, index: Mapping[str, object]) -> Digest | None:
        """Return the first entry of an index that is for this platform; None: there is none."""
        entries = index.get("manifests")
        for entry in entries if isinstance(entries, list) else ():
            found = platform_of(entry).split("/")
            if tuple(found[: len(self.parts)]) == self.parts:
                return digest_or_none(entry.get("digest"))
        return None

    def __str__(self) -> str:
        return "/".join(self.parts)


def platform_of(entry: object) -> str:
    """Return the platform that an entry of an index names; empty: it names none."""
    platform = entry.get("platform") if isinstance(entry, dict) else None
    if not isinstance(platform, dict):
        return ""
    return "/".join(str(platform[key]) for key in _KEYS if platform.get(key))
