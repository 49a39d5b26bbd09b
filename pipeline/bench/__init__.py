"""`camfleet bench`: what this machine could do for a fleet, what the fleet does, and where the rest goes.

bare (the detector alone) → decode (each camera alone) → fleet (all of it) → verdict (arithmetic and words) → report.
"""
