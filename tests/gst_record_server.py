"""An RTSP server that nobody here wrote and that takes what others publish: GStreamer's.

Run by Debian's Python, which has the bindings: /usr/bin/python3 gst_record_server.py. Takes H.264 at
rtsp://127.0.0.1:PORT/live; the port is printed once it listens, then a line for each picture. Ends with stdin, or at
once where GStreamer has no H.264 decoder.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def main() -> None:
    Gst.init(None)
    if Gst.ElementFactory.find("avdec_h264") is None:
        sys.exit("GStreamer's FFmpeg plugin is not installed")
    server = GstRtspServer.RTSPServer.new()
    server.set_service("0")
    server.set_address("127.0.0.1")
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    shown = "fakesink name=shown signal-handoffs=true"
    factory.set_launch(f"( rtph264depay name=depay0 ! h264parse ! avdec_h264 ! {shown} )")
    factory.connect("media-configure", watch)
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin, GLib.IO_HUP, lambda *_: loop.quit())
    loop.run()


def watch(_: object, media: GstRtspServer.RTSPMedia) -> None:
    shown = media.get_element().get_by_name("shown")
    shown.connect("handoff", lambda *_: print("picture", flush=True))


if __name__ == "__main__":
    main()
