"""Guards of pages: for whom they are, and when a sign-in has to be a fresh one."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_post_parameters

from moorage.control.accounts.models import User
from moorage.control.pages.page_answers import see_other, way_back
from moorage.control.pages.requesting import user_of_page
from moorage.control.sign_in.own_ways import sign_in_way
from moorage.control.sign_in.sessions import is_confirmed

_Rest = ParamSpec("_Rest")


def for_me(
    view: Callable[Concatenate[HttpRequest, User, _Rest], HttpResponse],
) -> Callable[Concatenate[HttpRequest, _Rest], HttpResponse]:
    """Give *view* the user who is signed in; others are led to sign-in."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: _Rest.args, **kwargs: _Rest.kwargs) -> HttpResponse:
        user = user_of_page(request)
        if user is None:
            return see_other(sign_in_way(way_back(request), ended=request.method == "POST"))
        answer = view(request, user, *args, **kwargs)
        answer.headers["Cache-Control"] = "no-store"  # It tells of secrets, or of who is here.
        return answer

    return sensitive_post_parameters()(guarded)


def for_me_confirmed(
    view: Callable[Concatenate[HttpRequest, User, _Rest], HttpResponse],
) -> Callable[Concatenate[HttpRequest, _Rest], HttpResponse]:
    """Give *view* the user, if the sign-in was a moment ago; else it is asked for again."""

    @wraps(view)
    def guarded(request: HttpRequest, user: User, /, *args: _Rest.args, **kwargs: _Rest.kwargs) -> HttpResponse:
        if not is_confirmed(request):
            return see_other(sign_in_way(way_back(request), again=True))
        return view(request, user, *args, **kwargs)

    return for_me(guarded)
