"""What `wg show` is asked for, and how it prints: used by every part of `wg show`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from holloway.key import Key
from holloway.text.show import Style

DISCARDS: Final = "discards"
CONFIGURATIONS: Final = "/etc/wireguard"

Print = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What to show: a field or everything (None) of an interface or of all (None)."""

    interface: str | None = None
    field: str | None = None
    json: bool = False
    names: bool = False
    watch: bool = False

    @property
    def conflict(self) -> str | None:
        """Return which options exclude each other, if they do."""
        if self.field not in (None, DISCARDS) and (self.json or self.names):
            return "--json and --names show whole devices, not a single field"
        if self.json and self.watch:
            return "--watch is for people, --json for programs"
        return None


def names_of(interface: str, request: Request) -> dict[Key, str]:
    """Return the names of an interface's peers; none if not requested or not readable."""
    if not request.names:
        return {}
    from holloway.text.names import peer_names

    path = f"{CONFIGURATIONS}/{interface}.conf"
    try:
        with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
            return peer_names(file.read())
    except OSError:
        return {}


def style() -> Style:
    """Choose how to print for people, from the environment and the terminal."""
    mode = os.environ.get("WG_COLOR_MODE")
    return Style(
        colours=mode == "always" or (mode != "never" and sys.stdout.isatty()),
        hide_keys=os.environ.get("WG_HIDE_KEYS") != "never",
    )
