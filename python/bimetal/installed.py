"""Plugins installed as packages: found through their entry points, loaded when a route wants one of their handlers.

A distribution offers a plugin by an entry point in the group `bimetal.plugins`. Its name is what the names of the
plugin's handlers begin with; what it refers to is the library's path, or a function that gives it. `bimetal plugin new`
writes one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from bimetal.errors import PluginError

#: The entry points' group.
GROUP = "bimetal.plugins"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def is_name(text: str) -> bool:
    """Whether a plugin is meant by its name, not by a path: `hot`, but not `libhot.so` or `./hot`."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True)
class InstalledPlugin:
    """A plugin that a distribution offers."""

    name: str
    #: Name and version of the distribution: `bimetal-plugin-hot 0.1.0`.
    distribution: str
    entry: EntryPoint

    def library(self) -> str:
        """The library's path. Raises PluginError where the distribution does not give one."""
        try:
            found = self.entry.load()
            path = found() if callable(found) else found
            text = os.fspath(path)
        except Exception as error:
            raise PluginError(
                f"{self.described}: its entry point {self.entry.value!r} gives no library "
                f"({type(error).__name__}: {error}); install {self.distribution.partition(' ')[0]} again"
            ) from error
        if not isinstance(text, str) or not os.path.isfile(text):
            raise PluginError(
                f"{self.described}: its library {text!r} is not there; "
                f"install {self.distribution.partition(' ')[0]} again"
            )
        return text

    @property
    def described(self) -> str:
        """How errors name it."""
        return f"installed plugin {self.name!r} ({self.distribution})"


def installed_plugins() -> dict[str, list[InstalledPlugin]]:
    """The installed plugins by name, in order; more than one of a name are a conflict for whoever wants it."""
    found: dict[str, list[InstalledPlugin]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        distribution = "an unknown distribution"
        if entry.dist is not None:
            distribution = f"{entry.dist.name} {entry.dist.version}"
        offers = found.setdefault(entry.name, [])
        # A distribution may be seen twice, where a folder is on the path twice.
        if not any((known.distribution, known.entry.value) == (distribution, entry.value) for known in offers):
            offers.append(InstalledPlugin(entry.name, distribution, entry))
    return found


def only_one(name: str, offers: Sequence[InstalledPlugin]) -> InstalledPlugin:
    """The only offer of a name. Raises PluginError where there are several."""
    if len(offers) > 1:
        raise PluginError(
            f"the plugin {name!r} is installed more than once, by "
            f"{' and by '.join(offer.distribution for offer in offers)}; uninstall all but one, or load one by its path"
        )
    return offers[0]


def named(name: str) -> InstalledPlugin:
    """The installed plugin of this name. Raises PluginError where there is none, or more than one."""
    offers = installed_plugins().get(name)
    if offers is None:
        raise not_installed(name)
    return only_one(name, offers)


def not_installed(name: str) -> PluginError:
    """The error for the name of a plugin that is not installed."""
    known = ", ".join(installed_plugins()) or "none"
    return PluginError(
        f"there is no installed plugin {name!r} (installed are: {known}); install it with pip, or give the path of its "
        f"library, like ./lib{name}.so"
    )
