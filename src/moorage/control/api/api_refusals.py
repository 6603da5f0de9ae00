"""Refusals of the API that are no room's: each with its status and the body that GitLab has for it."""

from collections.abc import Iterable, Mapping

from moorage.errors import Refused


class APIRefused(Refused):
    """An answer other than success: a status and a body."""

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = dict(body)


class APIMoved(Refused):
    """An answer that leads to where a thing is now."""

    def __init__(self, location: str) -> None:
        super().__init__(f"This resource has been moved permanently to {location}")
        self.location = location


def unauthorized() -> APIRefused:
    """Make the refusal of someone who is nobody here."""
    return APIRefused(401, {"message": "401 Unauthorized"})


def forbidden(why: str = "") -> APIRefused:
    """Make the refusal of someone who sees a thing and may not do that with it."""
    return APIRefused(403, {"message": f"403 Forbidden - {why}" if why else "403 Forbidden"})


def not_found(what: str) -> APIRefused:
    """Make the refusal for a thing that is not there, or that the caller is not told of."""
    return APIRefused(404, {"message": f"404 {what} Not Found"})


def bad_parameter(text: str) -> APIRefused:
    """Make the refusal of a parameter, in words such as ``name is missing``."""
    return APIRefused(400, {"error": text})


def conflict(text: str) -> APIRefused:
    """Make the refusal of something that is there already."""
    return APIRefused(409, {"message": text})


def insufficient_scope(possible: Iterable[str]) -> APIRefused:
    """Make the refusal of a token whose scopes do not reach. Source: RFC 6750 § 3.1."""
    return APIRefused(
        403,
        {
            "error": "insufficient_scope",
            "error_description": "The request requires higher privileges than provided by the access token.",
            "scope": " ".join(possible),
        },
    )
