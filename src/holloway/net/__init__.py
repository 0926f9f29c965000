"""A WireGuard peer inside a Python program: TCP and UDP through a tunnel, without root.

`Network` is for asyncio and `open` for plain scripts; `holloway` re-exports both. The connections
are those of a `Stack`: the kernel's, in a private namespace, or a userspace TCP/IP stack.
"""
