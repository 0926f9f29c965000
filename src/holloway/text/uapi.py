"""The UAPI, the text that a WireGuard device speaks over its socket, for those who want the model.

A daemon reads with `parse_set` and answers with `dump_get`; a client asks with `dump_set` and
reads with `parse_get`. The codec itself is `text.native`'s; `errno=` lines and the socket are the
business of whoever calls.
"""

from __future__ import annotations

from collections.abc import Iterable

from holloway.model import Device, DeviceUpdate
from holloway.text.convert import device_of_answer, device_update_of, state_of, update_of
from holloway.text.native import UapiError, encoded, read_request

__all__ = ["UapiError", "diff", "dump_get", "dump_set", "parse_get", "parse_set"]


def dump_get(device: Device) -> str:
    """Write a device's answer to `get=1`, without the errno line that ends it."""
    return state_of(device).answer().decode()


def dump_set(update: DeviceUpdate) -> str:
    """Write the whole `set=1` transaction, with the blank line that ends it."""
    return update_of(update).request().decode()


def parse_set(lines: Iterable[str]) -> DeviceUpdate:
    """Read the lines between `set=1` and the blank line; raises `UapiError`."""
    body = "".join([f"{line}\n" for line in lines])
    return device_update_of(read_request(body.encode()))


def parse_get(text: str, name: str = "") -> Device:
    """Read a device's answer, called `name`; unknown keys are passed over, as wg(8) does.

    Raises `UapiError`, always EPROTO: the fault is the device's.
    """
    return device_of_answer(encoded(text), name)


def diff(device: Device, update: DeviceUpdate) -> DeviceUpdate:
    """Return `update`, which names all that shall be, without `replace_peers` (`wg syncconf`).

    The peers of `device` that it does not name are removed one by one, and those it names lose
    the preshared key and the keepalive that it is silent about, so that all others keep their
    sessions. Where either side has no peers, replacing all is the same in fewer words.
    """
    return device_update_of(update_of(update).since(state_of(device)))
