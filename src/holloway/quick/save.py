"""Writes the state of an interface back into its file, as `wg-quick save` and SaveConfig do.

The new file replaces the old one atomically, or the old one stays as it is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from holloway.errors import HollowayError
from holloway.netlink.route import Address, Interface
from holloway.quick.comments import carry_over
from holloway.quick.plan import interface
from holloway.quick.source import Source
from holloway.quick.steps import Host
from holloway.text.conf import dump_conf
from holloway.text.quick import QuickConfig

PRIVATE: Final = 0o600  # the file holds a private key


@dataclass(frozen=True, slots=True)
class SaveConfiguration:
    """The step: read the interface, and rewrite its file."""

    source: Source = field(repr=False)

    @property
    def text(self) -> str:
        return f"wg showconf {self.source.interface}"

    def apply(self, host: Host) -> None:
        name, config = self.source.interface, self.source.config
        link = host.netlink.link(name)
        if link is None:
            raise HollowayError(f"Unable to access interface: `{name}' has no link here")
        addresses = ordered(host.netlink.addresses(name), config.addresses)
        mtu = None if config.mtu is None else link.mtu
        text = compose(config, addresses, mtu, dump_conf(host.find(name).get()))
        replace(self.source.path, carry_over(self.source.text, text))


def compose(
    config: QuickConfig, addresses: Sequence[Interface], mtu: int | None, wg_text: str
) -> str:
    """Insert wg-quick's own settings into the interface section of `wg showconf`."""
    settings = [
        *(("Address", str(address)) for address in addresses),
        *(("DNS", server) for server in config.dns),
        *(() if mtu is None else (("MTU", str(mtu)),)),
        *(() if config.table is None else (("Table", config.table),)),
        *((("SaveConfig", "true"),) if config.save_config else ()),
        *(("PreUp", hook) for hook in config.pre_up),
        *(("PostUp", hook) for hook in config.post_up),
        *(("PreDown", hook) for hook in config.pre_down),
        *(("PostDown", hook) for hook in config.post_down),
    ]
    lines = "".join(f"{key} = {value}\n" for key, value in settings)
    return wg_text.replace("[Interface]\n", f"[Interface]\n{lines}", 1)


def ordered(found: Sequence[Address], written: Sequence[str]) -> list[Interface]:
    """Put addresses in the order of the file, new ones last.

    Addresses that the kernel gave are left out: the next `up` would be refused a duplicate.
    """
    places: dict[str, int] = {}
    for place, text in enumerate(written):
        # The file may have been changed since it was used.
        with suppress(ValueError):
            places[str(interface(text))] = place
    kept = [address.interface for address in found if not address.automatic]
    return sorted(kept, key=lambda each: places.get(str(each), len(written)))


def replace(path: Path, text: str) -> None:
    """Write a file next to `path`, sync it to the disk, and move it into place."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        _write(temporary, text.encode(errors="surrogateescape"))
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        reason = f"Could not write configuration file: {path}: {error.strerror}"
        raise HollowayError(reason) from error
    finally:
        # It is gone if it was moved, and any other reason has been reported above.
        with suppress(OSError):
            temporary.unlink()


def _write(path: Path, data: bytes) -> None:
    # Left by a run that was killed, or a link that somebody wants us to write through.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
