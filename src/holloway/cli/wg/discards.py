"""`wg show INTERFACE discards`: what devices discarded, and why.

Only our devices count that; `UapiDevice.discards` asks them. Called by `show`.
"""

from __future__ import annotations

import errno
from typing import Final

from holloway.cli.wg.report import reason
from holloway.cli.wg.request import Print, Request, names_of, style
from holloway.control import find, names, uapi
from holloway.text.discards import Discards, pretty, to_json

UNKNOWN_REQUEST: Final = (errno.EPROTO, errno.EINVAL, errno.EIO)  # what other devices answer


def show_discards(request: Request, out: Print, error: Print) -> int:
    """Print the counts of one interface or of all; returns the exit status."""
    try:
        wanted = names() if request.interface is None else [request.interface]
    except OSError as problem:
        error(f"Unable to list interfaces: {reason(problem)}")
        return 1
    found: dict[str, Discards] = {}
    for name in wanted:
        try:
            found[name] = _discards(name)
        except _CountsNothing as problem:
            error(str(problem))
        except OSError as problem:
            where = "" if request.interface else f" {name}"
            error(f"Unable to access interface{where}: {reason(problem)}")
    named = [(name, discards, names_of(name, request)) for name, discards in found.items()]
    if request.json:
        out(to_json(named))
    else:
        out("\n".join(pretty(name, each, style(), known) for name, each, known in named))
    return 0 if found or not wanted else 1


class _CountsNothing(Exception):
    """The device is not ours."""


def _discards(name: str) -> Discards:
    device = find(name)
    if not isinstance(device, uapi.UapiDevice):
        device.get()  # raises OSError if there is none
        raise _CountsNothing(f"{name} is in the kernel, which does not count what it discards")
    try:
        return device.discards()
    except OSError as error:
        if error.errno not in UNKNOWN_REQUEST:
            raise
        device.get()
        raise _CountsNothing(f"The device of {name} does not count what it discards") from None
