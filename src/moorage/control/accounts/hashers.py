"""Hashes of passwords: argon2id with parameters that a registry's clients can be served with.

docker sends the password for each token that it asks for. Django's own parameters take 0.2 s and 100 MiB for each;
these are of the same strength by OWASP's list, and take 0.02 s and 19 MiB.
"""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2Hasher(Argon2PasswordHasher):
    """argon2id with t=2, m=19 MiB, p=1."""

    time_cost = 2
    memory_cost = 19_456
    parallelism = 1
