"""What of a camera's pictures nobody gets to see: areas that are painted over, and objects that are blurred.

Pure: pictures, polygons and boxes in, covered pictures out. Every door through which pixels leave the fleet uses it:

    cover = Cover(camera.privacy)
    cover.apply(picture, frame_wh, results)     # before anybody else gets the picture

What is not known is covered: a picture of which no detection says what is in it is blurred as a whole.
"""

from pipeline.privacy.cover import Cover
from pipeline.privacy.hidden import Hidden
from pipeline.privacy.moment import Moments, at_capture, off_ns

__all__ = ["Cover", "Hidden", "Moments", "at_capture", "off_ns"]
