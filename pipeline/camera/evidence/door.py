"""What may be written of what is kept, by the camera's `privacy`: as it came, covered, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.camera.evidence.clip import write_clip
from pipeline.camera.evidence.covered import write_covered
from pipeline.camera.evidence.ring import KeptPacket
from pipeline.camera.orientation import Orientation
from pipeline.camera.published import Published
from pipeline.child import give_memory_back
from pipeline.clock import NS_PER_S
from pipeline.config.camera import Camera
from pipeline.errors import SourceError
from pipeline.privacy import Cover, Moments, off_ns
from pipeline.privacy.stencil import Picture


class ClipDoor:
    """The only way for kept pictures to leave the camera's process. May be used from any thread."""

    def __init__(self, camera: Camera, published: Published | None) -> None:
        """Nothing is written yet.

        Args:
            camera: Whose pictures.
            published: Knows what is in them; needed where objects are to be blurred.
        """
        self._camera_id, self._privacy = camera.camera_id, camera.privacy
        self._mounted = Orientation(camera.rotate // 90, camera.mirror)
        self._published = published

    def require_open(self) -> None:
        """Make sure that anything may be written.

        Raises:
            SourceError: Nothing may; the message says what to set.
        """
        if self._privacy.clips == "none":
            raise SourceError(
                f"camera “{self._camera_id}” gives no clips, as its privacy.clips is “none”; “covered” allows them, "
                "with masks and blurred objects"
            )

    def write(self, path: Path, packets: Sequence[KeptPacket], zero_ns: int, error_ms: float | None) -> None:
        """Write packets of one session, beginning with a key frame.

        Args:
            path: `.mp4` or `.mkv`.
            packets: What to write.
            zero_ns: When the stream's own time was 0, by the clock of the stream that is detected, wall time, ns.
            error_ms: How far that may be off; None where nobody knows.

        Raises:
            OSError: It cannot be written.
            av.FFmpegError: The container does not take the codec, or the pictures cannot be decoded.
            PipelineError: It cannot be encoded or covered.
        """
        if not self._privacy.any or self._privacy.clips == "as_recorded":
            write_clip(path, packets)
            return
        cover = Cover(self._privacy)
        moments = Moments(self._published.all if self._published is not None else ())
        within_ns = off_ns(error_ms)

        def covered(picture: Picture, at_s: float) -> Picture:
            at_ns = zero_ns + round(at_s * NS_PER_S)
            results = [] if moments.end(at_ns, within_ns) else moments.around(at_ns, within_ns)
            return cover.apply(picture, (picture.shape[1], picture.shape[0]), results)

        try:
            write_covered(path, packets, self._mounted, covered)
        finally:
            give_memory_back()
