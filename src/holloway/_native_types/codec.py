"""The text codec: the UAPI, configuration files of wg(8), `dump`."""

from holloway._native import (
    Changes,
    Refused,
    State,
    Update,
    blank_line,
    dump_answer,
    public_key,
    read_endpoint,
    read_fwmark,
    read_keepalive,
    read_port,
)

__all__ = [
    "Changes",
    "Refused",
    "State",
    "Update",
    "blank_line",
    "dump_answer",
    "public_key",
    "read_endpoint",
    "read_fwmark",
    "read_keepalive",
    "read_port",
]
