"""Serves recordings as RTSP cameras, in real time and without re-encoding.

recording → packetize → camera → connection is the way of a picture.
`serve_recordings` runs all of it in a child process, `pipeline.replay.server.ReplayServer` on the
caller's asyncio loop.
"""

from pipeline.replay.options import ReplayOptions
from pipeline.replay.process import ServedRecordings, serve_recordings

__all__ = ["ReplayOptions", "ServedRecordings", "serve_recordings"]
