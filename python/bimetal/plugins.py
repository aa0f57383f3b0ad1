"""The plugin libraries of an application or a server, and the native handlers they give."""

from __future__ import annotations

import json
import os
import re
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bimetal._core import Host
from bimetal.binding import HandlerInfo, PluginChange
from bimetal.errors import PluginError
from bimetal.installed import InstalledPlugin, installed_plugins, is_name, not_installed, only_one
from bimetal.reload import Serving, reload_plugins

#: A library's path or the name of an installed plugin, or that and the configuration for its `init` (turned into JSON).
Plugin = str | os.PathLike[str] | tuple[str | os.PathLike[str], Mapping[str, Any]]


class Plugins:
    """Libraries to load, in order, and the host they are loaded into at the first use."""

    def __init__(self, plugins: Iterable[Plugin] = (), *, installed: bool = True) -> None:
        #: Whether a handler nobody has loaded is looked for in the installed plugins.
        self.installed = installed
        #: All that were asked for, and those of them that are not loaded.
        self._wanted: list[tuple[str, str | None]] = []
        self._pending: list[tuple[str, str | None]] = []
        self._host: Host | None = None
        self._hashes: list[str] | None = None
        #: How long a plugin's `init` may take, in seconds.
        self.init_timeout = 30.0
        #: Held while handlers are looked up and bound, so that none of them is replaced in between.
        self.lock = threading.RLock()
        #: The servers whose routes are bound to these plugins.
        self._servers: weakref.WeakSet[Serving] = weakref.WeakSet()
        self._servers_lock = threading.Lock()
        self.extend(plugins)

    def allow(self, hashes: Iterable[str]) -> None:
        """Load only libraries whose SHA-256 is among these, or among those allowed before."""
        if isinstance(hashes, str):
            raise TypeError(f"plugin_hashes must be a list of hashes: plugin_hashes=[{hashes!r}]")
        allowed = list(self._hashes or ())
        for text in hashes:
            found = re.fullmatch(r"(?:sha256:)?([0-9a-f]{64})", text.strip().lower())
            if found is None:
                raise PluginError(
                    f"plugin_hashes: {text!r} is not a SHA-256, which has 64 hexadecimal digits; "
                    "`sha256sum FILE` shows a library's"
                )
            allowed.append(found[1])
        self._hashes = allowed

    def served_by(self, server: Serving) -> None:
        """Have `server` take part in reloads, until it is gone or says `not_served_by`."""
        with self._servers_lock:
            self._servers.add(server)

    def not_served_by(self, server: Serving) -> None:
        """Leave `server` out of reloads."""
        with self._servers_lock:
            self._servers.discard(server)

    def retire(self, timeout: float) -> None:
        """Have the plugins end, unless another server uses them; returns when they have, or after `timeout` seconds.

        The next server loads them again.
        """
        with self.lock:
            if self._serving() or self._host is None:
                return
            host, self._host = self._host, None
            self._pending = list(self._wanted)
            host.retire(timeout)

    def reload(self) -> list[PluginChange]:
        """Take in the libraries that have changed, on every server that uses them; see `Server.reload_plugins`."""
        with self.lock:
            if self._host is None:
                return []
            self._host.set_policy(self._hashes, self.init_timeout)
            return reload_plugins(self._host, self._serving())

    def _serving(self) -> list[Serving]:
        with self._servers_lock:
            return list(self._servers)

    def extend(self, plugins: Iterable[Plugin]) -> None:
        """Load these libraries too, before the next server starts."""
        for plugin in plugins:
            if isinstance(plugin, tuple):
                self.add(*plugin)
            else:
                self.add(plugin)

    def add(self, path: str | os.PathLike[str], config: Mapping[str, Any] | None = None) -> None:
        """Load this library too, before the next server starts."""
        try:
            text = None if config is None else json.dumps(config)
        except TypeError as error:
            raise PluginError(f"{os.fspath(path)}: the plugin's configuration must be JSON: {error}") from None
        name = os.fspath(path)
        if not isinstance(path, str) and is_name(name):
            name = os.path.join(os.curdir, name)
        with self.lock:
            self._wanted.append((name, text))
            self._pending.append((name, text))

    def host(self) -> Host:
        """The host with every library loaded that exists. Raises PluginError for one that does not load."""
        with self.lock:
            if self._host is None:
                self._host = Host()
            self._host.set_policy(self._hashes, self.init_timeout)
            absent = []
            for path, config in self._pending:
                if is_name(path):
                    offers = installed_plugins().get(path)
                    if offers is not None:
                        self._load(self._host, only_one(path, offers), config)
                        continue
                elif os.path.exists(path):
                    self._host.load(path, config)
                    continue
                absent.append((path, config))
            # A library that is missing now may be built before the next server starts.
            self._pending = absent
            return self._host

    def missing(self) -> list[str]:
        """Libraries whose files are not there: allowed only where `fallback="python"` stands in for their handlers."""
        self.host()
        return [path for path, _ in self._pending]

    def libraries(self) -> list[str]:
        """The files of the plugins that are loaded."""
        sources = (plugin["source"] for plugin in self.host().plugins())
        return [source for source in sources if source not in ("builtin", "static")]

    def handlers(self) -> Handlers:
        """Every handler by name, the built-in ones included, those of installed plugins once they are asked for."""
        return Handlers(self)

    def load_installed(self, handler: str) -> bool:
        """Load the installed plugin that a handler's name belongs to; False where there is none, or it is loaded."""
        if not self.installed:
            return False
        host = self.host()
        offered = {name: offers for name, offers in installed_plugins().items() if handler.startswith(f"{name}.")}
        loaded = {plugin["name"] for plugin in host.plugins()}
        found = False
        for name, offers in offered.items():
            if name not in loaded:
                self._load(host, only_one(name, offers), None)
                found = True
        return found

    def _load(self, host: Host, plugin: InstalledPlugin, config: str | None) -> None:
        library = plugin.library()
        try:
            handlers = host.load(library, config)
        except PluginError as error:
            raise PluginError(f"{plugin.described}: {error}") from None
        strange = [handler["name"] for handler in handlers if not handler["name"].startswith(f"{plugin.name}.")]
        if strange:
            raise PluginError(
                f"{plugin.described}: its library {library} has the handler {strange[0]!r}, whose name does not begin "
                f"with '{plugin.name}.'; the entry point and `bimetal::plugin!` have to give the plugin the same name"
            )


class Handlers(Mapping[str, HandlerInfo]):
    """Handlers by name. Asking for one that is not loaded loads the installed plugin that its name belongs to."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self._found = self._read()

    def __getitem__(self, name: str) -> HandlerInfo:
        if name not in self._found and self._plugins.load_installed(name):
            self._found = self._read()
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def _read(self) -> dict[str, HandlerInfo]:
        return {handler["name"]: handler for handler in self._plugins.host().handlers()}


def missing_plugin(path: str) -> PluginError:
    """The error for a library or an installed plugin that is not there."""
    if is_name(path):
        return not_installed(path)
    return PluginError(
        f"{path}: the plugin library does not exist (looked in {os.getcwd()}); build it, or correct the path"
    )
