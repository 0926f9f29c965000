"""Errors in one line for the user of a command."""

from __future__ import annotations


def explain(error: Exception) -> str:
    """Return the reason, after the file that it concerns, without the errno of an OSError."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
