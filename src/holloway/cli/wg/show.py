"""`wg show` and `wg showconf`: what devices are."""

from __future__ import annotations

import os
import sys
import time
from typing import Final

from holloway.cli.wg.report import NAME, fail, print_out, reason, tell
from holloway.control import find, names
from holloway.model import Device
from holloway.text.show import Style, fields, pretty

USAGE: Final = (
    f"Usage: {NAME} show {{ <interface> | all | interfaces }} [public-key | private-key | "
    "listen-port | fwmark | peers | preshared-keys | endpoints | allowed-ips | "
    "latest-handshakes | transfer | persistent-keepalive | dump]"
)
USAGE_OF_SHOWCONF: Final = f"Usage: {NAME} showconf <interface>"


def show(arguments: list[str]) -> int:
    """Print devices, or one field of them; returns the exit status."""
    match arguments:
        case ["-h" | "--help" | "help"]:
            tell(USAGE)
            return 0
        case ["interfaces"]:
            return _interfaces()
        case [] | ["all"]:
            return _all(None)
        case ["all", field]:
            return _all(field)
        case [name] if name != "interfaces":
            return _one(name, None)
        case [name, field] if name != "interfaces":
            return _one(name, field)
    return fail(USAGE)


def showconf(arguments: list[str]) -> int:
    """Print a device as a configuration file; returns the exit status."""
    from holloway.text.conf import dump_conf

    if len(arguments) != 1:
        return fail(USAGE_OF_SHOWCONF)
    try:
        device = find(arguments[0]).get()
    except OSError as error:
        return fail(f"Unable to access interface: {reason(error)}")
    print_out(dump_conf(device))
    return 0


def _interfaces() -> int:
    try:
        found = names()
    except OSError as error:
        return fail(f"Unable to list interfaces: {reason(error)}")
    if found:
        print_out(" ".join(found) + "\n")
    return 0


def _all(field: str | None) -> int:
    try:
        found = names()
    except OSError as error:
        return fail(f"Unable to list interfaces: {reason(error)}")
    status = 1 if found else 0
    for position, name in enumerate(found, 1):
        try:
            device = find(name).get()
        except OSError as error:
            tell(f"Unable to access interface {name}: {reason(error)}")
            continue
        status = _print(device, field, prefix=f"{name}\t")
        if status:
            return status
        if field is None and position < len(found):
            print_out("\n")
    return status


def _one(name: str, field: str | None) -> int:
    try:
        device = find(name).get()
    except OSError as error:
        return fail(f"Unable to access interface: {reason(error)}")
    return _print(device, field, prefix="")


def _print(device: Device, field: str | None, prefix: str) -> int:
    text = pretty(device, int(time.time()), _style()) if field is None else None
    if field is not None:
        text = fields(device, field, prefix=prefix)
    if text is None:
        return fail(f"Invalid parameter: `{field}'\n{USAGE}")
    print_out(text)
    return 0


def _style() -> Style:
    mode = os.environ.get("WG_COLOR_MODE")
    return Style(
        colours=mode == "always" or (mode != "never" and sys.stdout.isatty()),
        hide_keys=os.environ.get("WG_HIDE_KEYS") != "never",
    )
