"""The person in front of a page, as the rooms know requesters."""

from django.http import HttpRequest

from moorage.control.accounts.models import User
from moorage.control.projects.requesters import Requester
from moorage.control.projects.rules import CredentialKind


def user_of_page(request: HttpRequest) -> User | None:
    """Return the user who is signed in; None: nobody is."""
    user = request.user
    return user if isinstance(user, User) else None


def requester_of(request: HttpRequest) -> Requester:
    """Return who asks for a page."""
    user, address = user_of_page(request), request.META.get("REMOTE_ADDR", "")
    if user is None:
        return Requester(address=address)
    return Requester(credential=CredentialKind.SESSION, user=user, address=address)


def request_id_of(request: HttpRequest) -> str:
    """Return the id by which the log knows a request."""
    return str(request.META.get("HTTP_X_REQUEST_ID", ""))
