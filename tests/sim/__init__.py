"""Two brains on one simulated link: no clock but the simulation's, no packet but its values."""
