"""What was published about a frame, drawn on its picture.

    from pipeline import Subscriber, draw

    for result in Subscriber(cameras=["gate"]):
        picture = …  # the frame itself, (H, W, 3) uint8 BGR
        cv2.imshow("gate", draw(picture, result))

A box is solid where the detector saw the object in that frame, and dashed where the tracker filled in; a frame that no
detection stands behind is marked as such, since that is not an empty one. Everything of camfleet that draws uses this.
"""

from pipeline.overlay.paint import ColourBy, Pixels, draw, draw_note
from pipeline.overlay.trails import Trail, Trails

__all__ = ["ColourBy", "Pixels", "Trail", "Trails", "draw", "draw_note"]
