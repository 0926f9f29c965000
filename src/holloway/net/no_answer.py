"""How long to wait for an answer from inside the tunnel."""

from __future__ import annotations

from typing import Final

PING_SECONDS: Final = 12.0
"""Two initiations, which are 5 s and up to 333 ms apart, and the time for the answer."""
