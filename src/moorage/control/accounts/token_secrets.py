"""Secrets of tokens: made at random, shown once, kept as SHA-256.

A digest without salt is enough: there are 190 random bits in each, so that no list of guesses comes near one.
"""

import hashlib
import secrets
from typing import NamedTuple

_RANDOM_BYTES = 24
SECRET_LENGTH_LIMIT = 255
"""Characters; whatever is longer is no token and is not hashed."""


class NewSecret(NamedTuple):
    """A new secret."""

    text: str
    """Shown once, to the person who asked."""
    digest: str
    """For the database."""


def new_secret(prefix: str) -> NewSecret:
    """Make one that begins with *prefix*."""
    text = prefix + secrets.token_urlsafe(_RANDOM_BYTES)
    return NewSecret(text, digest_of(text))


def digest_of(text: str) -> str:
    """Return what the database has of a secret."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
