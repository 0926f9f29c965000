"""Copies between pairs of stream sockets."""

from holloway._native import Relay, RelayPair

__all__ = ["Relay", "RelayPair"]
