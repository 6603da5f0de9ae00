"""Writes of what may be there only once, where another request may be faster between the check and the write."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction

from moorage.control.refusals import ChangeRefused


@contextmanager
def checked_again(check: Callable[[], object]) -> Iterator[None]:
    """Write in the block what *check* has nothing against; a constraint that refuses it is told in the check's words.

    After such a refusal the other request has committed: the check sees now what it wrote, and says so as it does
    to the second of two who come one after the other.

    Raises:
        ChangeRefused: *check* has something against it; before the block, or after it.
        IntegrityError: the write failed for a reason that *check* does not know.
    """
    check()
    try:
        with transaction.atomic():
            yield
    except (IntegrityError, ChangeRefused):
        check()
        raise
