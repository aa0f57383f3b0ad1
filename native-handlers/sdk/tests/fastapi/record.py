"""Records what FastAPI answers to requests that do not fit, one JSON object a line, for tests/fastapi.rs.

    python record.py > answers.jsonl      # with fastapi and httpx installed
"""

from __future__ import annotations

import enum
import json
from typing import Optional

from fastapi import FastAPI, Query
from pydantic import BaseModel, Field
from starlette.testclient import TestClient

app = FastAPI()
JSON = {"content-type": "application/json"}


class Color(str, enum.Enum):
    red = "red"
    green = "green"
    blue = "blue"


class Dim(BaseModel):
    w: int
    h: float


class Item(BaseModel):
    name: str
    price: float
    tags: list[str] = []
    count: Optional[int] = None
    active: bool = True
    color: Color = Color.red
    dim: Optional[Dim] = None


class Limited(BaseModel):
    model_config = {"extra": "forbid"}
    a: int = Field(ge=1, lt=10)
    s: str = Field(min_length=2, max_length=3)
    t: list[int] = Field(max_length=2, min_length=1, default=[1])


@app.get("/user/{user_id}")
def user(
    user_id: int,
    verbose: bool = False,
    limit: Optional[int] = None,
    ratio: float = 1.0,
    color: Optional[Color] = None,
):
    return [user_id, verbose, limit, ratio, color]


@app.get("/query")
def query(a: int, b: str, tags: list[int] = Query(default=[])):
    return [a, b, tags]


@app.post("/item")
def item(item: Item):
    return item


@app.post("/list")
def list_(item: list[int]):
    return item


@app.post("/dict")
def dict_(item: dict[str, int]):
    return item


@app.post("/optional")
def optional(item: Optional[Item] = None):
    return item


@app.post("/limited")
def limited(item: Limited):
    return item


@app.post("/all/{user_id}")
def all_(user_id: int, item: Item, z: bool):
    return [user_id, z, item]


client = TestClient(app)


def record(method: str, target: str, body: Optional[str] = None, headers: Optional[dict[str, str]] = None) -> None:
    response = client.request(method, target, content=body, headers=headers)
    case = {
        "method": method,
        "target": target,
        "content_type": (headers or {}).get("content-type"),
        "body": body or "",
        "status": response.status_code,
        "answer": response.text,
    }
    print(json.dumps(case))


for text in "abc 1.0 1.5 %2B5 -5 %20%207 1_000 1__0 0x10 1e3 1. .0 -0 00012 1_ _1 1.00_0 --1 1%202 nan".split():
    record("GET", f"/user/{text}")
for text in ["true", "TRUE", "yes", "on", "y", "t", "1", "0", "off", "no", "f", "n", "maybe", "", "2", "1.0", "%20true", "tRue"]:
    record("GET", f"/user/1?verbose={text}")
for text in ["1", "1e5", "abc", "", "1_0", "1_0.5", ".5", "5.", "%20%201.5", "%2B1.5", "1e", "0x1p3", "1_0e1_0"]:
    record("GET", f"/user/1?ratio={text}")
for target in ["?color=pink", "?color=red&color=blue", "?verbose", "?limit=", "?limit=a&verbose=b&ratio=c&color=d"]:
    record("GET", f"/user/1{target}")
record("GET", "/user/x?verbose=maybe&limit=a")
for target in ["", "?a=1&b=", "?a=x&tags=1&tags=y&tags=2", "?a=1&a=2&b=x+y%20z%2B&tags=1&tags=2", "?A=1&b=2", "?a=&b=%C3%A9"]:
    record("GET", f"/query{target}")

BODIES = [
    "", "{", "{}", "[]", "null", '"x"', "1", "true", '{"name":1,"price":"x"}',
    '{"name":"a","price":"3.5","count":"7","active":"yes"}',
    '{"name":"a","price":true,"count":3.0,"active":1}',
    '{"name":"a","price":1,"count":3.5,"active":2}',
    '{"name":"a","price":1,"count":true,"active":0.0,"color":"pink"}',
    '{"name":null,"price":null,"tags":null,"count":null,"active":null,"color":null}',
    '{"name":"a","price":1,"tags":["a",1,null]}', '{"name":"a","price":1,"tags":"abc"}',
    '{"name":"a","price":1,"tags":{}}', '{"name":"a","price":1,"dim":{"w":"x"}}',
    '{"name":"a","price":1,"dim":[]}', '{"name":"a","price":1,"dim":null,"color":"blue"}',
    '{"name":"a","price":[],"count":{},"active":[],"color":[]}', '{"name":"a","price":1,"active":0.5}',
    '{"name":"a","price":1,"active":2.0}',
    '{"name":"a","price":1,}', '{"name":"a" "price":1}', "{name:1}", "{'a':1}", '{"a":1} x', '{"a":tru}',
    '{"a":"\x01"}', '{"a":"\\x"}', '{"a":"\\u12"}', '{"a":"abc', '{"a":', '{"a"', '{"a",', "[1,]", "[1 2]",
    "nope", '{"a":1', "[", "[1", '{"a":1,', "-", '{"a":.5}', '{"a":01}', '["\u00e9\U0001f600" 1]',
    '{"name":"\u00e9\U0001f600","price":1}', '{"name":"a","price":1,"count":1e2}',
    '{"name":"a","price":1,"name":"b","x":1}', '  {"name":"a","price":1}  ', "\ufeff{}",
    '{"price":1e16,"tags":[1e-5,1.50,1E22,123456789012345.678,-0.0,0.0001]}',
    '{"name":"a\\ud83d\\ude00","price":"x"}', '{"name":"a","price":1,"count":"1.5"}',
    '{"name":"a","price":"","count":""}', '{"name":"a\\n\\"\\\\","price":{"b":1,"a":[2]}}',
]
for body in BODIES:
    record("POST", "/item", body, JSON)
GOOD = '{"name":"a","price":1}'
for content_type in [
    "text/plain", "application/vnd.api+json; charset=utf-8", "application/problem+JSON", "APPLICATION/JSON",
    "application/json;", "json", "application/x-www-form-urlencoded",
]:
    record("POST", "/item", GOOD, {"content-type": content_type})
record("POST", "/item", GOOD)
record("POST", "/item")
for body in [None, "null", "[]", "{}", GOOD]:
    record("POST", "/optional", body, JSON)
for body in ['[1,"2",3.0]', '[1,"x",null]', "{}", '"a"', "null", "1", "[]"]:
    record("POST", "/list", body, JSON)
for body in ['{"a":1}', '{"a":"x","b":2.5}', "[]", "null", "{}"]:
    record("POST", "/dict", body, JSON)
for body in ['{"a":0,"s":"a","t":[]}', '{"a":10,"s":"abcd","t":[1,2,3],"z":1,"y":"q"}', '{"a":"11","s":""}', '{"a":9,"s":"abc"}']:
    record("POST", "/limited", body, JSON)
for body in ['{"name":1}', "{", None]:
    record("POST", "/all/x", body, JSON)
record("POST", "/all/1?z=1", '{"name":"a","price":1}', JSON)
