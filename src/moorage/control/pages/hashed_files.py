"""Static files under names that have the file's digest: browsers keep each for a year."""

import hashlib
from collections.abc import Callable
from functools import cache

from django.contrib.staticfiles.finders import find, get_finders
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.http import HttpRequest, HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware

_DIGEST_LENGTH = 12


class HashedNames(StaticFilesStorage):
    """Addresses of static files. The files are read where the rooms have them: nothing has to be collected."""

    def url(self, name: str | None) -> str:
        """Return the address of a file.

        Raises:
            ValueError: there is no such file.
        """
        return super().url(_hashed(name or ""))


class HashedFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc] # it has no types
    """Serves the files of all rooms by these addresses, from a table that is made at the start."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        super().__init__(get_response)
        storage = HashedNames()
        for finder in get_finders():
            for name, _ in finder.list([]):
                found = find(name)
                if isinstance(found, str):
                    self.add_file_to_dictionary(storage.url(name), found)

    def immutable_file_test(self, path: str, url: str) -> bool:
        """Return whether a file never changes: each does so by its name."""
        del path, url
        return True


@cache
def _hashed(name: str) -> str:
    found = find(name)
    if not isinstance(found, str):
        msg = f"there is no static file {name}"
        raise ValueError(msg)  # noqa: TRY004 - the name is wrong, not its type
    with open(found, "rb") as file:  # noqa: PTH123 - a path of Django's
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:_DIGEST_LENGTH]
    stem, dot, ending = name.rpartition(".")
    return f"{stem}.{digest}{dot}{ending}"
