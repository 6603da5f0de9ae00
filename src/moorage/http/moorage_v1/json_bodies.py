"""JSON bodies of requests to ``/moorage/v1/``."""

from moorage.errors import BodyTooLarge, ContentTypeInvalid
from moorage.http.call import Call
from moorage.http.moorage_v1.requests import BODY_LIMIT_BYTES, Model, parse_body
from moorage.oci.mediatypes import without_parameters
from moorage.web.bodies import Bodies


async def read_body(call: Call, bodies: Bodies, model: type[Model]) -> Model:
    """Read the body of a request.

    Raises:
        ContentTypeInvalid: it is not said to be JSON.
        BodyTooLarge: it is larger than is taken.
        ParameterInvalid, DigestInvalid, TagInvalid: it is not as *model* describes it.
    """
    # A page in somebody's browser can send a form or plain text here without being asked; JSON it cannot.
    if without_parameters(call.headers.get("Content-Type", "")) != "application/json":
        msg = "the body is JSON: send Content-Type: application/json"
        raise ContentTypeInvalid(msg)
    _check_size(call.request.content_length or 0)
    return parse_body(model, await bodies.whole(call.request, check_size=_check_size))


def _check_size(size_bytes: int) -> None:
    if size_bytes > BODY_LIMIT_BYTES:
        msg = f"the body is larger than {BODY_LIMIT_BYTES} bytes"
        raise BodyTooLarge(msg, limit=BODY_LIMIT_BYTES)
