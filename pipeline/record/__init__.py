"""Records cameras without re-encoding, with the time at which each packet came.

`recorder` reads from a camera and reconnects, `container` writes the Matroska file, and `arrivals` the times beside it,
by which `pipeline.replay` plays it.
"""

from pipeline.record.recorder import Recorded, record, recorded_camera

__all__ = ["Recorded", "record", "recorded_camera"]
