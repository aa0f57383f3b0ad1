"""Handlers in the style of other frameworks, on FastAPI's own machinery; each has to be asked for by its import.

- `bimetal.styles.turboapi`: `TurboAPI`, whose handlers take the fields of a JSON body as plain arguments.
- `bimetal.styles.fasterapi`: `App`, whose handlers take a request and a response, `def handler(req, res)`.

Both are subclasses of `bimetal.Bimetal`. They give FastAPI a function with another signature and leave the rest to it:
routes are compiled, documented and validated like any other.
"""

from __future__ import annotations
