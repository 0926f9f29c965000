"""What the plane stands between: the TUN interface and UDP addresses."""

from holloway._native import Endpoint, Tun

__all__ = ["Endpoint", "Tun"]
