"""Cameras by GStreamer's RTSP server, which notes when each frame left. Run by a Python that has its bindings.

    /usr/bin/python3 gst_server.py DEPARTURES FILE.mp4…

Each H.264 file becomes rtsp://127.0.0.1:PORT/<number>, from its first frame for each client; the port is printed once
the server listens. `clocksync` lets each frame go when it is due, as a camera would, and behind it the frame is noted
in DEPARTURES as `camera frame monotonic_ns`, before it is cut into packets. Media are not shared between clients: with
shared ones, a client that joins makes the others stall. Ends with its standard input.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

LAUNCH = (
    "( filesrc location={file} ! qtdemux ! h264parse config-interval=-1 ! clocksync ! identity name=leave silent=true "
    "! rtph264pay name=pay0 pt=96 )"
)


def main() -> None:
    """Serve until standard input closes."""
    departures, *files = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_service("0")
    server.set_address("127.0.0.1")
    with Path(departures).open("w", encoding="ascii", buffering=1) as log:
        for number, file in enumerate(files):
            factory = GstRtspServer.RTSPMediaFactory.new()
            factory.set_launch(LAUNCH.format(file=file))
            factory.connect("media-configure", watch, number, log)
            server.get_mount_points().add_factory(f"/{number}", factory)
        server.attach(None)
        print(server.get_bound_port(), flush=True)
        loop = GLib.MainLoop()
        GLib.io_add_watch(sys.stdin, GLib.IO_HUP, lambda *_: loop.quit())
        loop.run()


def watch(factory: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia, number: int, log: object) -> None:
    """Note every frame of this medium, which begins with frame 0."""
    frames = itertools.count()

    def note(pad: Gst.Pad, probe: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        log.write(f"{number} {next(frames)} {time.monotonic_ns()}\n")
        return Gst.PadProbeReturn.OK

    element = media.get_element()
    # Otherwise the sinks hold every frame back for 60 ms more, the latency that h264parse might need.
    element.get_parent().set_latency(0)
    element.get_by_name("leave").get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, note)


if __name__ == "__main__":
    main()
