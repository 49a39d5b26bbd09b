"""HLS from a camera that may be asked for nothing but what is its own.

A playlist (RFC 8216) names addresses, and FFmpeg opens whichever they are. Here each of them is opened by Python's HTTP
client instead, which asks the camera's own host and port only, with its user and password, and follows no redirection.
"""

from __future__ import annotations

import http.client
from typing import Any

from pipeline.camera.elsewhere import Answer, fetch, origin, plain_formats
from pipeline.config.camera import Camera
from pipeline.errors import SourceError

OPTIONS = {
    "format_whitelist": f"{plain_formats()},hls",
    # FFmpeg would look for its own connection behind what Python has opened, and abort.
    "http_persistent": "0",
    "http_multiple": "0",
    # Where it begins: three segments back, as RFC 8216 §6.3.3 has it.
    "live_start_index": "-3",
}


class OwnAddresses:
    """Opens what a playlist names, for `av.open(io_open=...)`."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera

    def __call__(self, address: str, flags: int, options: dict[str, Any]) -> Answer:
        """The content of `address`, to be read.

        Raises:
            SourceError: It is not the camera's.
            OSError: It cannot be had.
        """
        if origin(address) != origin(self._camera.url.reveal()):
            raise SourceError(
                f"{self._camera.url} sends a playlist that names another host; if this machine may ask that, set "
                "allow_redirects for this camera"
            )
        answer = fetch(self._camera.url.reveal(), address, self._camera.read_timeout_s, _part(options))
        if answer.status not in (http.client.OK, http.client.PARTIAL_CONTENT):
            answer.close()
            raise OSError(f"HTTP {answer.status}")
        return answer


def _part(options: dict[str, Any]) -> range | None:
    """Which bytes FFmpeg asks for: segments may be parts of one file (RFC 8216 §4.3.2.2)."""
    begin, end = int(options.get("offset", 0)), int(options.get("end_offset", 0))
    return range(begin, end) if end > begin else None
