"""A second look at objects that were found: which crop of which object a second model sees, and what it found.

A detector tells what is there; a second model says more of it, from a crop: a vehicle's colour, whether a helmet is
worn. What an object is does not change from frame to frame, so each is looked at once, at its best crop so far, and
again only if a much better one comes. No frame waits for that: what was found is in the object's later messages.

Pure decisions and arithmetic, with crops and time as arguments; the worker joins them to its lanes.
"""
