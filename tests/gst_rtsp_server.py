"""An RTSP server that nobody here wrote: GStreamer's, serving recordings as they are.

Run by Debian's Python, which has the bindings: /usr/bin/python3 gst_rtsp_server.py [--auth USER:PASSWORD] FILE…
Each FILE.mp4 (H.264) becomes rtsp://127.0.0.1:PORT/<stem>; the port is printed once it listens. Ends with stdin.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--auth")
    arguments = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_service("0")
    server.set_address("127.0.0.1")
    if arguments.auth:
        ask_for_password(server, *arguments.auth.split(":"))
    for file in arguments.files:
        factory = GstRtspServer.RTSPMediaFactory.new()
        factory.set_launch(
            f"( filesrc location={file} ! qtdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )"
        )
        factory.set_shared(True)
        if arguments.auth:
            allow(factory)
        server.get_mount_points().add_factory(f"/{file.stem}", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin, GLib.IO_HUP, lambda *_: loop.quit())
    loop.run()


def ask_for_password(server: GstRtspServer.RTSPServer, user: str, password: str) -> None:
    auth = GstRtspServer.RTSPAuth.new()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)


def allow(factory: GstRtspServer.RTSPMediaFactory) -> None:
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)


if __name__ == "__main__":
    main()
