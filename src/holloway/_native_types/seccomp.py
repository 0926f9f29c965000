"""The filter of system calls."""

from holloway._native import confine_system_calls

__all__ = ["confine_system_calls"]
