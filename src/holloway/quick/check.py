"""Refuses, before anything is changed, what a later step could not do.

Every refusal is a `ConfigError` with the line, the key and the reason. `text.conf` has read the
wg(8) half of the file by then; here are the values that wg-quick uses itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holloway.errors import ConfigError
from holloway.quick import facts, plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holloway.quick.source import Source

MTU_MIN: Final = 68  # RFC 791: what every IPv4 link carries; the kernel's least for a tunnel
MTU_MAX: Final = 65535  # the length field of IP
SHOWN: Final = 80  # characters of a bad value in a message


def check(source: Source, tables: Mapping[str, int] | None = None) -> None:
    """Raise `ConfigError` for the first value that cannot be applied.

    `tables` are the routing tables that have a name, which are read if they are not given.
    """
    _check_addresses(source)
    _check_mtu(source)
    _check_table(source, tables)
    _check_dns(source)


def _check_addresses(source: Source) -> None:
    for written in source.config.addresses:
        try:
            plan.interface(written)
        except ValueError:
            reason = f"`{shortened(written)}' is not an IP address with an optional prefix length"
            raise _refusal(source, "Address", written, reason) from None


def _check_mtu(source: Source) -> None:
    mtu = source.config.mtu
    if mtu is not None and not MTU_MIN <= mtu <= MTU_MAX:
        reason = f"`{mtu}' is not from {MTU_MIN} to {MTU_MAX}"
        raise _refusal(source, "MTU", str(mtu), reason)


def _check_table(source: Source, tables: Mapping[str, int] | None) -> None:
    table = source.config.table
    if not facts.names_table(source.config):
        return
    assert table is not None
    try:
        plan.table_number(table, facts.named_tables() if tables is None else tables)
    except ValueError as error:
        raise _refusal(source, "Table", table, str(error)) from None


def _check_dns(source: Source) -> None:
    if not source.config.dns:
        return
    from holloway.quick import dns
    from holloway.text.address import numeric

    for written in source.config.dns:
        if numeric(written) is None and not dns.is_search_domain(written):
            reason = f"`{shortened(written)}' is neither an IP address nor a domain"
            raise _refusal(source, "DNS", written, reason)


def shortened(value: str) -> str:
    """Return a value, cut off where it is too long for a message."""
    return value if len(value) <= SHOWN else f"{value[:SHOWN]}..."


def _refusal(source: Source, key: str, value: str, reason: str) -> ConfigError:
    return ConfigError(reason, key=key, line=source.line(key, value))
