"""`wg show` and `wg showconf`: print the state of devices.

The arguments become a `Request`, answered once, or each second with `--watch` (`watch`).
"""

from __future__ import annotations

import sys
import time
from typing import Final

from holloway.cli.wg.report import NAME, fail, print_err, print_out, reason
from holloway.cli.wg.request import DISCARDS, Print, Request, names_of, style
from holloway.control import find, names
from holloway.model import Device
from holloway.text.show import fields, pretty

USAGE: Final = (
    f"Usage: {NAME} show {{ <interface> | all | interfaces }} [public-key | private-key | "
    "listen-port | fwmark | peers | preshared-keys | endpoints | allowed-ips | "
    "latest-handshakes | transfer | persistent-keepalive | dump]"
)
USAGE_OF_SHOWCONF: Final = f"Usage: {NAME} showconf <interface>"
OPTIONS: Final = ("--json", "--names", "--watch")
HELP: Final = f"""
Another field:
  discards  how many packets the device discarded, by reason and peer

Options, anywhere after `show':
  --json    print whole devices as JSON, secret keys too
  --names   show each peer's name: the comment on its `[Peer]' line, or on the line above it, in
            /etc/wireguard/<interface>.conf
  --watch   refresh each second; q quits

Examples:
  {NAME} show wg0
  {NAME} show wg0 --names --watch
  {NAME} show wg0 discards
  {NAME} show all dump
  {NAME} show --json | jq -r '.wg0.peers[].endpoint'"""


def show(arguments: list[str]) -> int:
    """Print devices, or one field of them; returns the exit status."""
    given = {argument for argument in arguments if argument in OPTIONS}
    words = [argument for argument in arguments if argument not in OPTIONS]
    match words:
        case ["-h" | "--help" | "help"]:
            # A program gets the original's text alone, a person ours as well.
            print_err(USAGE + HELP if given or sys.stderr.isatty() else USAGE)
            return 0
        case ["interfaces"] if not given:
            return _interfaces()
        case ["interfaces", *_] | [_, _, _, *_]:
            return fail(USAGE)
    request = Request(
        interface=words[0] if words and words[0] != "all" else None,
        field=words[1] if len(words) > 1 else None,
        json="--json" in given,
        names="--names" in given,
        watch="--watch" in given,
    )
    if request.conflict is not None:
        return fail(request.conflict)
    if request.watch:
        from holloway.cli.wg.watch import watch

        return watch(lambda: _frame(request), " ".join([NAME, "show", *words]))
    return answer(request, print_out, print_err)


def answer(request: Request, out: Print, error: Print) -> int:
    """Answer a request; returns the exit status."""
    if request.field == DISCARDS:
        from holloway.cli.wg.discards import show_discards

        return show_discards(request, out, error)
    if request.interface is None:
        return _all(request, out, error)
    try:
        device = find(request.interface).get()
    except OSError as problem:
        error(f"Unable to access interface: {reason(problem)}")
        return 1
    if request.json:
        out(_json([device], request))
        return 0
    return _print(device, request, out, error)


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


def _all(request: Request, out: Print, error: Print) -> int:
    try:
        found = names()
    except OSError as problem:
        error(f"Unable to list interfaces: {reason(problem)}")
        return 1
    status = 1 if found else 0
    devices = []
    for position, name in enumerate(found, 1):
        try:
            device = find(name).get()
        except OSError as problem:
            error(f"Unable to access interface {name}: {reason(problem)}")
            continue
        if request.json:
            devices.append(device)
            status = 0
            continue
        status = _print(device, request, out, error, prefix=f"{name}\t")
        if status:
            return status
        if request.field is None and position < len(found):
            out("\n")
    if request.json:
        out(_json(devices, request))
    return status


def _print(device: Device, request: Request, out: Print, error: Print, prefix: str = "") -> int:
    if request.field is None:
        out(pretty(device, int(time.time()), style(), names_of(device.name, request)))
        return 0
    text = fields(device, request.field, prefix=prefix)
    if text is None:
        error(f"Invalid parameter: `{request.field}'\n{USAGE}")
        return 1
    out(text)
    return 0


def _json(devices: list[Device], request: Request) -> str:
    from holloway.text.show_json import to_json

    return to_json([(device, names_of(device.name, request)) for device in devices])


def _frame(request: Request) -> str:
    """Return everything that one refresh prints, errors too."""
    pieces: list[str] = []
    answer(request, pieces.append, lambda sentence: pieces.append(f"{sentence}\n"))
    return "".join(pieces)
