"""An application, and the same with mistakes that the run has to find."""

from typing import Annotated

from fastapi import Body, Cookie, FastAPI, Query, Request, Response


def _application() -> FastAPI:
    return FastAPI(openapi_url=None)


honest = _application()
#: Takes the first of several cookies of one name, not the last.
first_cookie = _application()
#: Writes numbers with one digit less than they need.
short_numbers = _application()
#: Sends fields of one name in another order.
other_order = _application()
#: Answers 400 to what is no JSON, not 422.
other_status = _application()
APPLICATIONS = (honest, first_cookie, short_numbers, other_order, other_status)


def cookie(session: Annotated[str, Cookie()] = "none"):
    return {"session": session}


async def raw_cookie(request: Request, session: Annotated[str, Cookie()] = "none"):
    values = [
        pair.partition("=")[2] for pair in request.headers.get("cookie", "").split("; ") if pair[:8] == "session="
    ]
    return {"session": values[0] if len(values) > 1 else session}


def number(value: Annotated[float, Query(allow_inf_nan=False)] = 0.0):
    return {"value": value}


def short_number(value: Annotated[float, Query(allow_inf_nan=False)] = 0.0):
    return {"value": float(f"{value:.15g}")}


def fields(response: Response, one: str = "1", two: str = "2"):
    response.headers.append("X-Of", one if one.isalnum() else "1")
    response.headers.append("X-Of", two if two.isalnum() else "2")


def swapped(response: Response, one: str = "1", two: str = "2"):
    fields(response, two, one)


def body(value: Annotated[list[int], Body()]):
    return value


for app in APPLICATIONS:
    app.get("/cookie")(raw_cookie if app is first_cookie else cookie)
    app.get("/number")(short_number if app is short_numbers else number)
    app.get("/fields")(swapped if app is other_order else fields)
    app.post("/body")(body)


@other_status.middleware("http")
async def change(request: Request, call_next):
    response = await call_next(request)
    if response.status_code == 422 and request.method == "POST":
        response.status_code = 400
    return response
