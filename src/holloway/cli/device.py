"""`holloway-device [-f] INTERFACE`: starts a device as wireguard-go does.

Reads the arguments and the environment, opens the TUN and the socket so that their errors reach
the caller, then forks unless it is to stay in the foreground. Then it starts the monitor, and only
then loads what the monitor does not need: `daemon` does the rest.
"""

from __future__ import annotations

import _socket
import gc
import os
import sys

from holloway.put_off import put_off

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from holloway._native import Tun
    from holloway.device.log import DeviceLog

DEFAULT_MTU = 1420  # wireguard-go, kernel device.c: 1500 less the overhead over IPv6
USAGE = "Usage: holloway-device [-f|--foreground] INTERFACE-NAME"
HELP = f"""{USAGE}

Creates the network interface INTERFACE-NAME and serves it in the background; returns once its
socket answers. Configure it with wg(8) or wg-quick(8). It ends when the interface or the socket
/var/run/wireguard/INTERFACE-NAME.sock is removed.

Options:
  -f, --foreground   stay in the foreground
  -h, --help         show this text
  --version          show the version

Environment:
  LOG_LEVEL                   verbose or debug, error (the default), silent
  WG_PROCESS_FOREGROUND=1     like --foreground
  WG_TUN_FD, WG_UAPI_FD       open file descriptors to use for the TUN and the listening socket
  WG_TUN_NAME_FILE            write the interface's name to this file
  HOLLOWAY_PERSISTENT=1       keep the interface if the device is killed, for the next one
  HOLLOWAY_RECONNECT=off      begin no sessions for those that a restart has lost
  HOLLOWAY_CONFINEMENT=off    keep all privileges instead of dropping them
  HOLLOWAY_SHARDS=N           use at most N threads for packets, each for one peer or more

Examples:
  holloway-device wg0 && wg setconf wg0 /etc/wireguard/wg0.conf
  LOG_LEVEL=debug holloway-device -f wg0
  WG_QUICK_USERSPACE_IMPLEMENTATION=holloway-device wg-quick up wg0
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments in (["-h"], ["--help"]):
        print(HELP, end="")
        return 0
    if arguments == ["--version"]:
        from holloway import __version__

        print(f"holloway-device {__version__}")
        return 0
    foreground = os.environ.get("WG_PROCESS_FOREGROUND") == "1"
    if arguments and arguments[0] in ("-f", "--foreground"):
        foreground = True
        arguments = arguments[1:]
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(USAGE, file=sys.stderr)
        return 1
    return start(arguments[0], foreground=foreground)


def start(name: str, *, foreground: bool) -> int:
    """Create the interface and its socket, then serve them here or in the background."""
    try:
        tun, listener = _prepare(name)
    except OSError as error:
        print(f"holloway-device: {_explain(error, name)}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"holloway-device: {error}", file=sys.stderr)
        return 1
    if foreground:
        return _serve(tun, listener, lambda: None)
    return _serve_in_background(tun, listener)


def _prepare(name: str) -> tuple[Tun, _socket.socket]:
    gc.disable()  # nothing to collect while modules are loaded; `daemon.serve` enables it again
    from holloway import _native
    from holloway.device.uapi_listener import claim

    tun_fd = os.environ.get("WG_TUN_FD")
    tun = _native.Tun.from_fd(int(tun_fd)) if tun_fd else open_tun(name)
    uapi_fd = os.environ.get("WG_UAPI_FD")
    listener = _socket.socket(fileno=int(uapi_fd)) if uapi_fd else claim(tun.name)
    if name_file := os.environ.get("WG_TUN_NAME_FILE"):
        with open(name_file, "w") as file:
            file.write(f"{tun.name}\n")
    return tun, listener


def open_tun(name: str) -> Tun:
    """Make an interface that looks like the kernel's, with a queue for each shard.

    Raises OSError, and ValueError if the number of shards in the environment is wrong.
    """
    from holloway import _native
    from holloway.device import shards
    from holloway.device.tun_settings import configure_tun, is_persistent

    tun = _native.Tun(name, DEFAULT_MTU, shards.limit())
    configure_tun(tun.name)
    if is_persistent():
        tun.set_persistent(True)
    return tun


def _explain(error: OSError, name: str) -> str:
    """Return what went wrong and what to do about it."""
    if isinstance(error, PermissionError):
        return f"Unable to create {name}: {error.strerror} (run it as root)"
    if error.filename is not None:
        return f"Unable to use {error.filename}: {error.strerror}"
    return f"Unable to create {name}: {error.strerror}"


def _serve_in_background(tun: Tun, listener: _socket.socket) -> int:
    """Fork; the parent returns when the child's socket answers or the child fails."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        os.close(read_end)
        _become_daemon(tun, listener, write_end)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        if pipe.read(1):
            return 0
    print(
        "holloway-device: the device did not start; set LOG_LEVEL=debug to see why", file=sys.stderr
    )
    return 1


def _become_daemon(tun: Tun, listener: _socket.socket, write_end: int) -> NoReturn:
    """Leave the caller's session, directory and, unless LOG_LEVEL is set, its output."""
    status = 1
    try:
        os.setsid()
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        if os.environ.get("LOG_LEVEL", "silent") == "silent":
            os.dup2(null, 1)
            os.dup2(null, 2)
        status = _serve(tun, listener, lambda: _report_ready(write_end))
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def _report_ready(write_end: int) -> None:
    os.write(write_end, b"1")
    os.close(write_end)


def _serve(tun: Tun, listener: _socket.socket, ready: Callable[[], None]) -> int:
    from holloway.device.monitor import start_monitor
    from holloway.device.uapi_listener import UapiSocket

    try:
        uapi = UapiSocket(listener)
        privileged = start_monitor(tun, uapi)
        put_off()
        from holloway.device import daemon

        device_log = _make_log(tun.name)
        daemon.serve(tun, uapi, privileged, device_log, ready)
    except OSError as error:
        import logging

        logging.getLogger(__name__).error("%s", error)
        return 1
    return 0


def _make_log(name: str) -> DeviceLog:
    from holloway.device.log import LEVELS, DeviceLog

    level = os.environ.get("LOG_LEVEL", "error")
    level = "verbose" if level == "debug" else level
    made = DeviceLog(name, level if level in LEVELS else "error")
    made.install()
    return made


if __name__ == "__main__":
    sys.exit(main())
