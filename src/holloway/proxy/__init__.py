"""Proxies and port forwards between the host and a tunnel: `holloway proxy`.

Python does the handshake of each connection and `_native.Relay` copies the rest. Both ends are a
`ProxyNetwork`: the host's own network or the tunnel's; nothing here knows WireGuard.
"""
