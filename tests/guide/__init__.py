"""The Ubuntu Server guide to WireGuard, page by page, as a newcomer types it."""
