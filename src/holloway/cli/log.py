"""`holloway log INTERFACE [LEVEL] [--follow]`: the log level of a running device, and its log.

It asks the device over its socket, which `uapi_server` answers. Called by `cli.holloway`.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Final

from holloway.control import kernel, uapi
from holloway.device.log import LEVELS

USAGE: Final = "Usage: holloway log INTERFACE [verbose | error | silent] [--follow]"
HELP: Final = f"""{USAGE}

Shows the log level of the device of INTERFACE, or changes it while the device runs. Sessions
continue.

Levels:
  verbose   everything: handshakes, keepalives, discarded packets
  error     errors only (the default)
  silent    nothing

Options:
  -f, --follow   print the last lines of the log, then new ones until interrupted
  -h, --help     show this text

Examples:
  sudo holloway log wg0 verbose --follow
  sudo holloway log wg0 error
"""
UNKNOWN_REQUEST: Final = (errno.EPROTO, errno.EINVAL, errno.EIO)  # what other devices answer


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    if arguments in (["-h"], ["--help"]):
        print(HELP, end="")
        return 0
    words = [word for word in arguments if word not in ("-f", "--follow")]
    is_understood = 1 <= len(words) <= 2 and not words[0].startswith("-")
    if not is_understood or (words[1:] and words[1] not in LEVELS):
        print(USAGE, file=sys.stderr)
        return 1
    try:
        return _run(words[0], *words[1:], follow=len(words) < len(arguments))
    except BrokenPipeError:
        # Nobody reads our output any more: leave nothing to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        print(f"holloway log: {_explain(words[0], error)}", file=sys.stderr)
        return 1


def _run(name: str, level: str = "", *, follow: bool) -> int:
    device = uapi.UapiDevice(name)
    if level:
        device.log_level(level)
    if not follow:
        if not level:
            print(device.log_level())
        return 0
    lines = device.follow_log()
    now = next(lines)
    if now != "verbose":
        print(f"{name} is at level {now}; `holloway log {name} verbose' shows more",
              file=sys.stderr)  # fmt: skip
    for line in lines:
        print(line, flush=True)
    return 0


def _explain(name: str, error: OSError) -> str:
    if name in kernel.names():
        return (
            f"{name} is the kernel's; its log is turned on by: "
            "echo module wireguard +p > /sys/kernel/debug/dynamic_debug/control"
        )
    if isinstance(error, FileNotFoundError):
        return f"no device serves {name}"
    if error.errno in UNKNOWN_REQUEST:
        return f"the device of {name} cannot change its log while it runs"
    return f"unable to reach the device of {name}: {error.strerror or error}"
