"""Throwaway networks on one machine: hosts, the links between them, and whole topologies.

Used by the demo, `holloway lab` and the tests. Needs root and util-linux.
"""

from holloway.lab.build import Lab, environment
from holloway.lab.host import CONFIG_DIRECTORY, Host, enter, join, missing_tools
from holloway.lab.topology import Network, Port, Step, Topology, Tunnel

__all__ = [
    "CONFIG_DIRECTORY",
    "Host",
    "Lab",
    "Network",
    "Port",
    "Step",
    "Topology",
    "Tunnel",
    "enter",
    "environment",
    "join",
    "missing_tools",
]
