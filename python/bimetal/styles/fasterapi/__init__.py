"""FasterAPI's style: handlers that take a request and a response, `def handler(req, res)`.

Example:
    ```python
    from bimetal.styles.fasterapi import App

    app = App(port=8000)

    @app.get("/users/{user_id}")
    def get_user(req, res):
        if req.path_params["user_id"] == "0":
            res.status(404)
            return {"error": "no such user"}
        return {"id": req.path_params["user_id"]}

    if __name__ == "__main__":
        app.run()
    ```
"""

from __future__ import annotations

from fastapi import (
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    File,
    Form,
    Header,
    HTTPException,
    Path,
    Query,
    Security,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
    status,
)
from fastapi.exceptions import RequestValidationError
from fastapi.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)

from bimetal.styles.fasterapi.app import APIRouter, App
from bimetal.styles.fasterapi.request import Request
from bimetal.styles.fasterapi.response import Response

__all__ = [
    "APIRouter",
    "App",
    "BackgroundTasks",
    "Body",
    "Cookie",
    "Depends",
    "File",
    "FileResponse",
    "Form",
    "HTMLResponse",
    "HTTPException",
    "Header",
    "JSONResponse",
    "Path",
    "PlainTextResponse",
    "Query",
    "RedirectResponse",
    "Request",
    "RequestValidationError",
    "Response",
    "Security",
    "StreamingResponse",
    "UploadFile",
    "WebSocket",
    "WebSocketDisconnect",
    "status",
]
