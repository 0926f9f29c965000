"""Netlink, the kernel's interface for networking: messages, sockets and the families in use.

`attributes` reads and writes messages, `socket` sends and receives them. `rtnetlink` has the
messages for links, addresses, routes, rules and queueing disciplines, and `route` the socket for
them; `wireguard` has the family of that name and `sock_diag` the sockets of a namespace. Every
refusal is an `OSError` with the kernel's errno. The package knows the model, no command and no
device of ours.
"""
