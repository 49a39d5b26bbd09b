"""Serves recordings as RTSP cameras, in real time and without re-encoding.

recording → packetize → feed → programme → camera → link is the way of a picture, from where `pipeline.rtsp` takes it to
each client. `connection` answers their requests, `server` holds all of it together, `faults` says what goes wrong,
`gathering` lets several begin at one moment. `serve_recordings` runs all of it in a child process,
`pipeline.replay.server.ReplayServer` on the caller's asyncio loop.
"""

from pipeline.replay.departures import read_departures
from pipeline.replay.faults import FAULT_NAMES, Fault, FaultName
from pipeline.replay.options import Playback, ReplayOptions
from pipeline.replay.process import ServedRecordings, serve_recordings
from pipeline.rtsp.auth import Login

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
