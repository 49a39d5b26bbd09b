"""A subscriber's end: typed results from a running fleet.

    from pipeline import Subscriber

    with Subscriber("tcp://127.0.0.1:5555", cameras=["gate"]) as results:
        for result in results:
            print(result.camera_id, result.frame_id, result.boxes.shape)

With `states=True` the cameras' states come between the frames, each when it changes and once a second:

    for message in Subscriber(states=True):
        if isinstance(message, CameraState) and message.state == "blind":
            print(message.camera_id, message.detail)

`AsyncSubscriber` is the same for asyncio. Both need pyzmq and msgspec, and numpy for arrays; nothing else is imported.
"""

from pipeline.client.asynchronous import AsyncSubscriber
from pipeline.client.base import Settings
from pipeline.client.connect import Key
from pipeline.client.reading import Statistics
from pipeline.client.silence import why_silent
from pipeline.client.subscriber import Subscriber

__all__ = ["AsyncSubscriber", "Key", "Settings", "Statistics", "Subscriber", "why_silent"]
