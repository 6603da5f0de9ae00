"""Makers of the rows of ``/moorage/v1/``, and what is said in many of them."""

from moorage import errors
from moorage.http.endpoints import Endpoint
from moorage.http.operations import Documentation, Operation, Rights

ALL = "everything on the catalogue (`registry:catalog:*`)"
BODY = (errors.SizeInvalid, errors.BodyTooLarge, errors.ContentTypeInvalid, errors.MethodNotAllowed)
"""Refusals of every operation that has a body."""


def get(path: str, wanted: Rights, documented: Documentation) -> Operation:
    """Make the row of an operation that changes nothing."""
    endpoint = Endpoint(f"/moorage/v1/{path}")
    return Operation(endpoint=endpoint, methods=("GET",), wanted=wanted, is_write=False, documented=documented)


def post(path: str, wanted: Rights, documented: Documentation, *, deletes: bool = False) -> Operation:
    """Make the row of an operation that changes something; *deletes*: it is there only where deleting is on."""
    endpoint = Endpoint(f"/moorage/v1/{path}")
    return Operation(endpoint=endpoint, methods=("POST",), wanted=wanted, deletes=deletes, documented=documented)
