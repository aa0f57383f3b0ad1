"""The errors Bimetal raises itself. The text of each is one line that names the fix.

Example:
    ```python
    from bimetal import Server
    from bimetal.errors import BindError

    try:
        Server(app, port=8000).start()
    except BindError as error:
        print(error)
    ```
"""

from __future__ import annotations

from bimetal._core import BimetalError, BindError, PluginError, RouteError

__all__ = ["BimetalError", "BindError", "PluginError", "RouteError"]
