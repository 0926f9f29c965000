"""How a run of `active_peers` is shown. It does not know how a figure is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_report import measured

if TYPE_CHECKING:
    from results import Report

CONFIGURATION = "configuration"
SESSIONS = "a session for each"
EXCHANGE = "all send and receive"
CHURN = "others come and go"
MEASURES = (CONFIGURATION, SESSIONS, EXCHANGE, CHURN)

NOTES = """\
## What is measured

- A hub whose every peer has ten allowed IPs, five of each family. All peers are one process on
  another host: it makes a handshake with a key for each, 400 a second, and holds their sessions.
- *Configuration*: `wg setconf` with all peers, and the growth of the device's resident memory.
- *A session for each*: what a handshake takes of the hub's CPU, its first empty packet included,
  and the growth of memory.
- *All send and receive*: a TCP connection from each peer to the hub. A request of 32 KiB and an
  answer as long follow one another; at most 64 connections have one under way, in turn. *Active
  peers* have finished at least one exchange in the measured time. Meanwhile the original `wg show
  wg0 dump` runs three times, and the original `wg show wg0` and ours once each; most of the time of
  these two is their own. *MiB* is the resident memory at the end.
- *Others come and go*: 5,000 numbered datagrams of 1,000 bytes a second, from each peer in turn,
  and back from the hub. Ten times a second `wg set` adds ten other peers and removes the ten
  before. *Lost* are those that did not come back; *dropped before a device* are all packets
  that found the queue of an interface or of a UDP socket full.
- `wg setconf` and `wg set` are the original ones. All share the machine's processors.

`make bench-gateway` repeats the run, and `make report` generates this page from its results.
"""


def page(report: Report) -> str:
    """Return the page with all results."""
    peers = report.about["peers"]
    return "\n".join((
        f"# {peers:,} active peers, measured",
        "",
        f"{10 * peers:,} allowed IPs.",
        "",
        *measured(report, "a load"),
        "",
        NOTES,
    ))  # fmt: skip
