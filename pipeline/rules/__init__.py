"""Zones, lines and events: what the boxes of a camera mean, as pure functions of its results.

`CameraRules` takes every frame's result in order and gives the events that it brings. The same code runs beside a
fleet that is live, in tests, and over results that were kept. Nothing here knows a clock or a socket: time is what
frames say.

1. `objects.py`: who is who. A track that ends and another that begins where it should be now are one object.
2. `crossings.py`, `visits.py`, `crowd.py`: lines; an object in a zone; how many there are in a zone.
3. `geometry.py`: zones and lines in pixels. `camera.py` joins all of it.

What one object does is told by detected boxes, which flicker less than anything predicted: when it crossed is where its
course over several of them meets the line (`course.py`), or between the last one on the one side and the first on the
other. Filled boxes keep it there in between.
"""

from pipeline.rules.camera import CameraRules

__all__ = ["CameraRules"]
