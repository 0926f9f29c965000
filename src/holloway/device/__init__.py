"""The device process: `daemon` runs one `Tunnel` on a TUN, with a UAPI socket and a log."""
