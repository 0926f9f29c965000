"""The changes of peers, as the brain applies them."""

from holloway._native import AllowedIPsChange, PeerChange

__all__ = ["AllowedIPsChange", "PeerChange"]
