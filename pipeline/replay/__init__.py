"""Serves recordings as RTSP cameras, in real time and without re-encoding.

recording → packetize → feed → camera → link → subscriber is the way of a picture.
`serve_recordings` runs all of it in a child process, `pipeline.replay.server.ReplayServer` on the
caller's asyncio loop.
"""

from pipeline.replay.departures import read_departures
from pipeline.replay.faults import FAULT_NAMES, Fault, FaultName
from pipeline.replay.options import Login, Playback, ReplayOptions
from pipeline.replay.process import ServedRecordings, serve_recordings

__all__ = [
    "FAULT_NAMES",
    "Fault",
    "FaultName",
    "Login",
    "Playback",
    "ReplayOptions",
    "ServedRecordings",
    "read_departures",
    "serve_recordings",
]
