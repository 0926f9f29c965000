"""The sans-IO brain: decides when to act and with which keys, and never touches a packet.

Clock, wall time and randomness are passed in; packets move in the plane behind `plane.Plane`.
"""
