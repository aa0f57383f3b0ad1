"""The exact path of a JSON answer, for results that Rust does not render itself."""

from __future__ import annotations

import json
from typing import Any

from fastapi.encoders import jsonable_encoder


def render_json(value: Any) -> bytes:
    """What FastAPI sends for `value` without a response model: jsonable_encoder, then JSONResponse's dump."""
    return json.dumps(
        jsonable_encoder(value), ensure_ascii=False, allow_nan=False, indent=None, separators=(",", ":")
    ).encode("utf-8")
