"""`bimetal plugin`: make a plugin, look into one, list the installed ones."""

from __future__ import annotations

from bimetal.plugin_command.command import plugin

__all__ = ["plugin"]
