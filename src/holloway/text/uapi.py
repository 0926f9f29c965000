"""The UAPI, the text protocol on a WireGuard device's socket, for callers that use the model.

A daemon uses `parse_set` and `dump_get`, a client `dump_set` and `parse_get`. The codec itself is
in `text.native`; the caller handles `errno=` lines and the socket.
"""

from __future__ import annotations

from collections.abc import Iterable

from holloway.model import Device, DeviceUpdate
from holloway.text.convert import device_of, device_update_of, state_of, update_of
from holloway.text.native import UapiError, encoded, read_answer, read_request

__all__ = ["UapiError", "diff", "dump_get", "dump_set", "parse_get", "parse_set"]


def dump_get(device: Device) -> str:
    """Return a device's answer to `get=1`, without the errno line that ends it."""
    return state_of(device).answer().decode()


def dump_set(update: DeviceUpdate) -> str:
    """Return the whole `set=1` request, with the blank line that ends it."""
    return update_of(update).request().decode()


def parse_set(lines: Iterable[str]) -> DeviceUpdate:
    """Parse the lines between `set=1` and the blank line; raises `UapiError`."""
    body = "".join([f"{line}\n" for line in lines])
    return device_update_of(read_request(body.encode()))


def parse_get(text: str, name: str = "") -> Device:
    """Parse the answer of the device `name`; unknown keys are ignored, as by wg(8).

    Raises `UapiError`, always EPROTO.
    """
    return device_of(read_answer(encoded(text)), name)


def diff(device: Device, update: DeviceUpdate) -> DeviceUpdate:
    """Return an update with the same result as `update`, without `replace_peers` (`wg syncconf`).

    So peers that stay keep their sessions. The peers of `device` that `update` does not name are
    removed one by one; those that it names lose a preshared key and keepalive that it does not
    name. If either side has no peers, `replace_peers` stays: it is shorter and does the same.
    """
    return device_update_of(update_of(update).since(state_of(device)))
