"""TCP, UDP and ICMP within the program."""

from holloway._native import Acceptable, Echoed, Ended, Failed, Opened, Stack, StackEvent

__all__ = ["Acceptable", "Echoed", "Ended", "Failed", "Opened", "Stack", "StackEvent"]
