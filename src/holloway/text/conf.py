"""Configuration files. A placeholder door for `parse_quick` until the wg half follows."""

from holloway.text.quick import QuickConfig, parse_quick

__all__ = ["QuickConfig", "parse_quick"]
