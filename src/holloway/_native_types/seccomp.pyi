"""The filter of system calls."""

__all__ = ["confine_system_calls"]

def confine_system_calls() -> None:
    """Allow this thread, and those that it starts, only the system calls of a running device.

    Others fail with ENOSYS, and those that only an intruder makes end the process. Needs
    PR_SET_NO_NEW_PRIVS. Raises OSError where the processor's or the kernel's system calls cannot be
    filtered.
    """
