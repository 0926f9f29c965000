"""An update as the brain applies it."""

from holloway._native import AllowedIPsChange, PeerChange

__all__ = ["AllowedIPsChange", "PeerChange"]
