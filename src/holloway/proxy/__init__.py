"""Proxies and port forwards between the host and a tunnel: `holloway proxy`.

Python reads the request of each connection, and `_native.Relay` copies the rest. Either end is a
`ProxyNetwork`: the host's own network, or the tunnel's. Nothing here knows WireGuard.
"""
