"""Routes as tools of the Model Context Protocol (MCP), over streamable HTTP. Needs `pip install "bimetal[mcp]"`.

Example:
    ```python
    from bimetal import Bimetal, mcp

    app = Bimetal(title="Shop")

    @app.get("/orders/{order_id}", tags=["tools"])
    def get_order(order_id: int) -> Order:
        \"\"\"An order by its number.\"\"\"
        ...

    mcp.mount(app, tags=["tools"])      # the tool `get_order`, at /mcp
    ```
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI

from bimetal.errors import BimetalError
from bimetal.mcp.tools import Selection


def mount(
    app: FastAPI,
    path: str = "/mcp",
    *,
    include: Sequence[str] | None = None,
    tags: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    name: str | None = None,
    instructions: str | None = None,
    headers: Sequence[str] = ("authorization",),
    allowed_hosts: Sequence[str] | None = None,
    allowed_origins: Sequence[str] = (),
) -> None:
    """Offer routes of `app` as tools at `path`.

    A tool has the name of its route's function, or the `operation_id` that the route was given; all else comes from
    the OpenAPI document. A call is a request to the route, through the running server, with all that is around it.

    Args:
        app: Any FastAPI application. Its lifespan has to run.
        path: Where clients find the endpoint.
        include: The tools to offer, by name or operation id.
        tags: The tags whose routes are offered, besides `include`. Without both, all routes in the document are.
        exclude: Tools that are not offered, by name or operation id.
        name: The name of the server; the application's title by default.
        instructions: What clients are told about the server.
        headers: Header fields of the caller that are passed on to the route.
        allowed_hosts: The values of `Host` that are answered, `"api.example.org"` or `"localhost:*"`; None: all.
        allowed_origins: The values of `Origin` that are answered, where `allowed_hosts` is given.

    Raises:
        BimetalError: The package `mcp` is not installed. At the start: a name or a tag that no route has.
    """
    try:
        from bimetal.mcp.endpoint import Endpoint
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise BimetalError('the MCP endpoint needs the package mcp: pip install "bimetal[mcp]"') from error
    if not path.startswith("/") or "{" in path:
        raise ValueError(f"path={path!r} is no path of an endpoint; it begins with a slash and has no parameters")
    selection = Selection(
        include=tuple(include) if include is not None else None,
        tags=tuple(tags) if tags is not None else None,
        exclude=tuple(exclude),
        own_headers=tuple(field.lower() for field in headers),
    )
    hosts = None if allowed_hosts is None else (list(allowed_hosts), list(allowed_origins))
    Endpoint(app, selection, name=name, instructions=instructions, hosts=hosts).mount(path)


__all__ = ["mount"]
