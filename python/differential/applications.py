"""Finding the applications under test."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

#: In the order of the tables; see `differential.apps`.
APPLICATIONS = (
    "parameters:app", "bodies:app", "forms:app", "dependencies:app", "security:app", "responses:app", "errors:app", "errors:plain", "routing:app",
    "routing:strict", "routing:rooted", "layers:plain", "layers:cors", "layers:cors_all", "layers:gzipped", "layers:hosts", "layers:https",
    "layers:dispatched", "layers:stacked", "layers:pure",
)  # fmt: skip


def module_of(app: str) -> str:
    """The module of `name:attribute`: one of `differential.apps`, unless the name has a point."""
    module = app.partition(":")[0]
    return module if "." in module else f"differential.apps.{module}"


def target(app: str) -> str:
    """The application as servers take it on their command lines."""
    return f"{module_of(app)}:{app.partition(':')[2]}"


def load(app: str) -> tuple[Any, Any]:
    """The application, and its module."""
    with warnings.catch_warnings():
        # FastAPI's remarks on settings that the applications use on purpose.
        warnings.simplefilter("ignore")
        module = importlib.import_module(module_of(app))
        return getattr(module, app.partition(":")[2]), module
