"""The TUN interface, and UDP endpoints."""

from holloway._native import Endpoint, Tun

__all__ = ["Endpoint", "Tun"]
