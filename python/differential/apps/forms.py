"""Forms and files, urlencoded and multipart."""

from typing import Annotated, Any

from fastapi import FastAPI, File, Form, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from differential.apps.twins import seen, twins

app = FastAPI()
both = twins(app)


def shown(file: UploadFile | None) -> Any:
    """Everything a handler can know about an uploaded file."""
    if file is None:
        return None
    content = file.file.read()
    return [file.filename, file.content_type, file.size, file.headers.items(), seen(content)]


class Login(BaseModel):
    username: str
    password: str = Field(min_length=2)
    remember: bool = False
    tags: list[str] = []


class Exact(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = "none"
    number: int | None = None


@both("POST", "/fields")
def fields(
    username: Annotated[str, Form()], age: Annotated[int, Form()] = 1, note: Annotated[str | None, Form()] = None
):
    return seen(username=username, age=age, note=note)


@both("POST", "/fields/lists")
def field_lists(
    words: Annotated[list[str], Form()],
    numbers: Annotated[list[int] | None, Form(alias="num-bers")] = None,
    flag: Annotated[bool, Form()] = False,
):
    return seen(words=words, numbers=numbers, flag=flag)


@both("POST", "/fields/optional")
def optional_fields(first: Annotated[str, Form()] = "none", second: Annotated[float | None, Form()] = None):
    return seen(first=first, second=second)


@both("POST", "/model")
def form_model(data: Annotated[Login, Form()]):
    return {"data": data, "set": sorted(data.model_fields_set)}


@both("POST", "/model/exact")
def exact_model(data: Annotated[Exact, Form()]):
    return {"data": data, "set": sorted(data.model_fields_set)}


@both("POST", "/file/bytes")
def file_bytes(file: Annotated[bytes, File()]):
    return seen(file)


@both("POST", "/file/optional")
def optional_file(file: Annotated[bytes | None, File()] = None, upload: UploadFile | None = None):
    return {"file": seen(file), "upload": shown(upload)}


@both("POST", "/file/upload")
def one_upload(file: UploadFile):
    return shown(file)


@both("POST", "/file/uploads")
def several_uploads(files: list[UploadFile], note: Annotated[str, Form()] = "none"):
    return {"note": seen(note), "files": [shown(file) for file in files]}


@both("POST", "/file/mixed/{n}")
def mixed(n: int, file: Annotated[bytes, File()], other: UploadFile, token: Annotated[str, Form()], q: str = "none"):
    return {"n": n, "q": q, "file": seen(file), "other": shown(other), "token": seen(token)}


@app.post(
    "/request/form",
    openapi_extra={
        "requestBody": {
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {"a": {"type": "string"}, "b": {"type": "string", "format": "binary"}},
                    }
                }
            }
        }
    },
)
async def form_of_the_request(request: Request):
    form = await request.form()
    return [[name, value if isinstance(value, str) else shown(value)] for name, value in form.multi_items()]  # type: ignore[arg-type]


@app.post(
    "/request/body",
    openapi_extra={
        "requestBody": {
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {"type": "object", "properties": {"a": {"type": "string"}}}
                }
            }
        }
    },
)
async def body_of_the_request(request: Request):
    return seen(await request.body())
