"""The packet plane of one device and of its peers."""

from holloway._native import Due, Peer, Plane

__all__ = ["Due", "Peer", "Plane"]
