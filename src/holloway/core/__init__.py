"""The sans-IO brain: it decides when to act and with which keys, and never touches a packet.

The caller passes in the clock, the wall time and random bytes. The plane (`plane.Plane`) moves the
packets.
"""
