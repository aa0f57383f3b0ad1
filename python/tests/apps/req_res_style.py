"""Handlers in FasterAPI's style: users, orders and what else such guides show."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import BaseModel, Field

from bimetal.styles.fasterapi import APIRouter, App, Depends, Form, HTTPException, JSONResponse, Request, Response

app = App(port=8123, enable_compression=True, title="Req and res")

USERS = {number: {"id": number, "name": f"user{number}"} for number in range(1, 51)}


class NewUser(BaseModel):
    name: str = Field(min_length=1)
    email: str
    age: int | None = None


class User(BaseModel):
    id: int
    name: str


@app.get("/")
def root(req, res):
    return {"hello": "req and res"}


@app.get("/users/{user_id}")
def get_user(req, res):
    number = int(req.path_params["user_id"]) if req.path_params["user_id"].isdecimal() else 0
    if number not in USERS:
        res.status(404)
        return {"error": "no such user"}
    return USERS[number]


@app.get("/typed/{user_id}")
def typed(req, res, user_id: int) -> User:
    res.set_header("X-User", str(user_id))
    return {"id": user_id, "name": f"user{user_id}", "secret": "left out"}


@app.get("/users")
async def list_users(req, res):
    page = int(req.query_params.get("page", 0))
    size = int(req.query_params.get("size", 10))
    return {"page": page, "users": list(USERS.values())[page * size : (page + 1) * size]}


@app.post("/users")
def create_user(req, res):
    new = req.json(NewUser)
    res.status(201).set_header("Location", "/users/51")
    return {"id": 51, **new.model_dump()}


@app.put("/users/{user_id}")
async def change_user(req, res):
    return {"id": req.path_params["user_id"], "name": req.json["name"], "all": req.json(), "kept": req.json}


@app.post("/documented")
def documented(req, res, new: NewUser) -> NewUser:
    assert req.json() == new.model_dump(exclude_unset=True)
    return new


@app.post("/caught")
def caught(req, res):
    try:
        return {"id": 1, "name": req.json(NewUser).name}
    except ValueError:
        res.status(400)
        return {"error": "no user"}


@app.delete("/users/{user_id}", status_code=202)
def delete_user(req, res):
    if req.path_params["user_id"] == "1":
        return res.status(204)
    return res.json({"deleted": req.path_params["user_id"]})


@app.post("/orders", status_code=201)
async def order(req, res):
    data = req.json()
    if not isinstance(data, dict) or data.get("amount", 0) < 1:
        raise HTTPException(400, "nothing to order")
    return {"order": data}


@app.post("/any")
def any_json(req, res):
    return {"value": req.json(), "is_object": isinstance(req.json, dict), "size": len(req.body)}


@app.post("/form")
def form(req, res, name: str = Form()):
    return {"name": name, "type": req.get_content_type()}


@app.post("/form-and-body")
async def form_and_body(req, res, name: str = Form()):
    try:
        return len(req.body)
    except RuntimeError as error:
        return {"error": str(error)}


@app.post("/raw")
async def raw(req, res):
    return req.body[::-1]


@app.get("/with-body")
def get_with_body(req, res):
    return req.text


@app.get("/whoami")
def whoami(req, res):
    return {
        "agent": req.headers.get("user-agent", "?"),
        "capitals": req.headers.get("User-Agent"),
        "cookie": req.cookies.get("seen"),
        "method": req.method,
        "path": req.path,
        "query": req.query,
        "ip": req.get_client_ip(),
        "secure": req.is_secure(),
    }


@app.get("/text")
def text(req, res):
    return "plain"


@app.get("/said")
def said(req, res) -> str:
    return "documented as text"


@app.get("/html")
def html(req, res):
    res.set_header("Content-Type", "text/html")
    return "<h1>bold</h1>"


@app.get("/legacy")
def legacy(req, res):
    res.set_header("X-Old", "yes")
    res.text("old style")
    return res


@app.get("/unreturned")
def unreturned(req, res):
    res.status(202).json({"sent": True}).send()


@app.get("/typed-json")
async def problem(req, res):
    res.status(409).content_type("application/problem+json")
    return {"title": "taken"}


@app.get("/cookies")
def cookies(req, res):
    return res.cookie("seen", "1", {"path": "/", "httponly": True}).clear_cookie("old").html("<p>set</p>")


@app.get("/moved")
def moved(req, res):
    return res.redirect("/text", permanent="permanent" in req.query_params)


@app.get("/source")
def source(req, res):
    return res.file(Path(__file__))


@app.get("/passed")
def passed(req, res):
    return JSONResponse({"by": "FastAPI"}, status_code=206)


@app.get("/nothing")
def nothing(req, res): ...


@app.get("/config")
def config(req, res):
    res.set_header("Cache-Control", "public, max-age=3600")
    return {"theme": "dark"}


@app.get("/data")
def data(req, res):
    content = {"data": [1, 2, 3]}
    tag = f'"{hashlib.sha256(repr(content).encode()).hexdigest()[:16]}"'
    res.set_header("ETag", tag)
    if req.headers.get("if-none-match") == tag:
        res.status(304)
        return res
    return content


async def _part(name: str) -> dict[str, str]:
    await asyncio.sleep(0)
    return {"part": name}


@app.get("/dashboard")
async def dashboard(req, res):
    user, posts, comments = await asyncio.gather(_part("user"), _part("posts"), _part("comments"))
    return {"user": user, "posts": posts, "comments": comments}


@app.get("/large")
def large(req, res):
    return {"text": "x" * 5000}


@app.get("/status/{code:int}")
def status(req, res):
    return res.status(req.path_params["code"])


def token_of(req) -> str:
    return req.headers.get("authorization", "").removeprefix("Bearer ")


async def current_user(req: Request, res: Response, token: str = Depends(token_of)) -> dict[str, str]:
    if not token:
        raise HTTPException(401, "no token", headers={"WWW-Authenticate": "Bearer"})
    res.set_header("X-Token", token)
    return {"token": token, "path": req.path}


@app.get("/me")
def me(req, res, user=Depends(current_user)):
    return {"user": user}


@app.get("/me-as-text")
async def me_as_text(req, res, user=Depends(current_user)):
    return res.text(user["token"])


router = APIRouter(prefix="/shop/{shop}", dependencies=[Depends(current_user)])


@router.get("/items/{item_id:int}")
def item(req, res, verbose: bool = False):
    return {**req.path_params, "verbose": verbose}


app.include_router(router)


@app.get("/plain/{n}")
def plain(n: int):
    return {"n": n}


@app.get("/stream")
async def stream() -> AsyncIterator[dict[str, int]]:
    for number in range(2):
        yield {"line": number}


def added(request, response):
    return {"method": request.method}


app.add_api_route("/added", added, methods=["GET", "POST"])


@app.get("/health", handler_type="native")
def health() -> dict[str, str]: ...
