"""A WireGuard peer inside a Python program: TCP and UDP through a tunnel, without root.

`Network` is for asyncio and `open` for plain scripts; both are re-exported by `holloway`. What
carries the connections is a `Stack`: the kernel's own, in a private namespace, or a userspace one.
"""
