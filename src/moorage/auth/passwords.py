"""Password files as Apache's ``htpasswd -B`` writes them, and the check of one password.

Source: Distribution's ``registry/auth/htpasswd``; ADR 0020.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import bcrypt

FILE_LIMIT_BYTES = 16 << 20

COST_LIMIT = 15
"""Of bcrypt: each step doubles the time, and this takes a second or two already."""

PASSWORD_LIMIT_BYTES = 72
"""bcrypt looks at no more; longer passwords are cut, as Apache and Go do."""

_HASH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}", re.ASCII)
_SALT_AND_RESULT = "." * 53
"""Of the hash for users that are not there: no password gives it."""

_DEFAULT_COST = 10

Check = Callable[[bytes, bytes], bool]


@dataclass(frozen=True, slots=True)
class PasswordFile:
    """The users of a file, and what their passwords have to give."""

    hashes: Mapping[str, str]
    unusable: int
    """Users that have something else than bcrypt; they cannot log in."""
    nobody: str
    """A hash that takes as long as those of the users."""

    @classmethod
    def parse(cls, content: bytes) -> "PasswordFile":
        """Read a file.

        Raises:
            ValueError: a line is neither a user with a hash nor a comment, or a hash would take too long.
        """
        found: dict[str, str] = {}
        costs: Counter[int] = Counter()
        unusable = 0
        for number, line in enumerate(content.decode("utf-8-sig", "surrogateescape").splitlines(), 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            text.encode()  # Bytes that are no UTF-8 are for remarks only.
            user, colon, rest = text.partition(":")
            # Apache takes what follows a third colon for a remark.
            hashed = rest.partition(":")[0].rstrip()
            if not colon or not user:
                msg = f"line {number} is no user and hash, as in user:$2y$…"
                raise ValueError(msg)
            match = _HASH.fullmatch(hashed)
            if match is None:
                unusable += 1
                continue
            cost = int(match[1])
            if not 4 <= cost <= COST_LIMIT:  # noqa: PLR2004 - bcrypt's least
                msg = f"line {number}: bcrypt's cost is {cost}, from 4 to {COST_LIMIT} is taken"
                raise ValueError(msg)
            costs[cost] += 1
            found[user] = hashed
        usual = costs.most_common(1)[0][0] if costs else _DEFAULT_COST
        return cls(found, unusable, f"$2b${usual:02d}${_SALT_AND_RESULT}")

    def matches(self, user: str, password: str, *, check: Check = bcrypt.checkpw) -> bool:
        """Return whether it is the user's password. It takes one bcrypt, even if there is no such user."""
        # No bcrypt takes a NUL, so that no user can have such a password.
        hashed = None if "\0" in password else self.hashes.get(user)
        given = password.encode("utf-8", "surrogateescape").replace(b"\0", b"-")[:PASSWORD_LIMIT_BYTES]
        return check(given, (hashed or self.nobody).encode()) and hashed is not None
