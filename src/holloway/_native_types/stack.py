"""TCP, UDP and ICMP within the program."""

from holloway._native import Attempt, Echoed, Ended, Failed, Stack, StackEvent

__all__ = ["Attempt", "Echoed", "Ended", "Failed", "Stack", "StackEvent"]
