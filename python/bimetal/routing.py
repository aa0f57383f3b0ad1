"""`APIRouter`, and the route decorators that `Bimetal` and `APIRouter` share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import fastapi
from typing_extensions import Unpack

from bimetal import body_limit
from bimetal.binding import bind
from bimetal.caching import with_cache
from bimetal.limits import limited
from bimetal.options import NativeOptions, OperationOptions, RouteOptions
from bimetal.static import static_folder

F = TypeVar("F", bound=Callable[..., Any])

_NATIVE_OPTIONS = tuple(NativeOptions.__annotations__)


class NativeRoutes:
    """FastAPI's route decorators with the options of native routes, `cache`, `max_body_size` and `rate_limit` added.

    A base class to stand before `fastapi.FastAPI` or `fastapi.APIRouter`.
    """

    def get(self, path: str, **options: Unpack[OperationOptions]) -> Callable[[F], F]:
        """A GET operation; see `fastapi.FastAPI.get`."""
        return self._operation("get", path, options)

    def put(self, path: str, **options: Unpack[OperationOptions]) -> Callable[[F], F]:
        """A PUT operation; see `fastapi.FastAPI.put`."""
        return self._operation("put", path, options)

    def post(self, path: str, **options: Unpack[OperationOptions]) -> Callable[[F], F]:
        """A POST operation; see `fastapi.FastAPI.post`."""
        return self._operation("post", path, options)

    def delete(self, path: str, **options: Unpack[OperationOptions]) -> Callable[[F], F]:
        """A DELETE operation; see `fastapi.FastAPI.delete`."""
        return self._operation("delete", path, options)

    def options(self, path: str, **options: Unpack[OperationOptions]) -> Callable[[F], F]:
        """An OPTIONS operation; see `fastapi.FastAPI.options`."""
        return self._operation("options", path, options)

    def head(self, path: str, **options: Unpack[OperationOptions]) -> Callable[[F], F]:
        """A HEAD operation; see `fastapi.FastAPI.head`."""
        return self._operation("head", path, options)

    def patch(self, path: str, **options: Unpack[OperationOptions]) -> Callable[[F], F]:
        """A PATCH operation; see `fastapi.FastAPI.patch`."""
        return self._operation("patch", path, options)

    def trace(self, path: str, **options: Unpack[OperationOptions]) -> Callable[[F], F]:
        """A TRACE operation; see `fastapi.FastAPI.trace`."""
        return self._operation("trace", path, options)

    def api_route(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """An operation with several methods; see `fastapi.FastAPI.api_route`."""
        return self._operation("api_route", path, options)

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Unpack[RouteOptions]) -> None:
        """Add an operation without a decorator; see `fastapi.FastAPI.add_api_route`."""
        own, limit, rest = _split(options)
        cast(Any, super()).add_api_route(path, _bound(endpoint, own), **rest)
        self._limit_last(limit)

    def static(
        self,
        path: str,
        *,
        directory: str | os.PathLike[str],
        html: bool = False,
        index: bool = False,
        precompressed: bool = True,
        cache_control: str | None = None,
        immutable: Sequence[str] = (),
        follow_symlinks: bool = False,
        dotfiles: bool = False,
        bypass: Sequence[str] = (),
        name: str | None = None,
    ) -> None:
        """Serve the files of a folder below `path`, in Rust; `GET` and `HEAD`.

        Args:
            path: Where the files are: `/assets` has `app.js` as `/assets/app.js`.
            directory: The folder; relative to the working directory.
            html: Answer for a folder with its `index.html`, and for what is missing with `404.html`, status 404.
            index: Answer for a folder without `index.html` with a page of its names.
            precompressed: Send `app.js.zst`, `app.js.br` or `app.js.gz` in the place of `app.js` to clients that take
                them, with `Vary: Accept-Encoding`.
            cache_control: `Cache-Control` of the files.
            immutable: Names that never change their content, as those with a hash in them, with `*` for any text and
                `?` for one character: caches may keep these files for a year.
            follow_symlinks: Whether links may lead out of the folder.
            dotfiles: Serve names that begin with a dot, too. `.well-known` is served in any case.
            bypass: Names of middleware and of exception handlers that requests for these files may pass by.
            name: The name of the mount, for `url_for`.

        Raises:
            RouteError: The folder is not there, or an argument is of another kind. At the start of a server: the files
                would bypass middleware or exception handlers that `bypass` does not name.

        Example:
            ```python
            app.static("/assets", directory="dist", immutable=["*-????????.js"], cache_control="no-cache")
            ```
        """
        folder = static_folder(
            path,
            directory,
            html=html,
            index=index,
            precompressed=precompressed,
            cache_control=cache_control,
            immutable=immutable,
            follow_symlinks=follow_symlinks,
            dotfiles=dotfiles,
            bypass=bypass,
        )
        cast(Any, self).mount(path, folder, name=name)

    def _operation(self, decorator: str, path: str, options: Any) -> Callable[[F], F]:
        own, limit, rest = _split(options)
        register = getattr(super(), decorator)(path, **rest)

        def decorate(function: F) -> F:
            register(_bound(function, own))
            self._limit_last(limit)
            return function

        return decorate

    def _limit_last(self, limit: int | None) -> None:
        """Limit the bodies of the route that was declared last."""
        if limit is not None:
            routes = cast(Any, self).routes
            body_limit.set_limit(routes[-1], limit, router=isinstance(self, fastapi.APIRouter))


class APIRouter(NativeRoutes, fastapi.APIRouter):  # type: ignore[misc]  # the options are a superset of FastAPI's
    """FastAPI's `APIRouter` whose decorators also take the options of native routes.

    It can be included in a `Bimetal` and in a plain `fastapi.FastAPI`, nested and with prefixes.

    Example:
        ```python
        from bimetal import APIRouter, Bimetal

        router = APIRouter(prefix="/shop")

        @router.get("/price/{sku}", handler_type="native", native="hot.price", fallback="python")
        def price(sku: str) -> dict[str, int]:
            return {"cents": 100}

        app = Bimetal(plugins=["libhot.so"])
        app.include_router(router)
        ```
    """


def _bound(function: Any, own: dict[str, Any]) -> Any:
    """The function to give to FastAPI."""
    options = dict(own)
    cache, limit = options.pop("cache"), options.pop("rate_limit")
    bound = limited(bind(function, **options), limit)
    return bound if cache is None else with_cache(bound, cache)


def _split(options: Any) -> tuple[dict[str, Any], int | None, dict[str, Any]]:
    """The options that go with the function, all of them, the limit of bodies, and FastAPI's options."""
    rest = dict(options)
    own = {name: rest.pop(name, None) for name in _NATIVE_OPTIONS}
    own["name"] = own.pop("native")
    return own, body_limit.checked(rest.pop("max_body_size", None)), rest
