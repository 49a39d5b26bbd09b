"""All that is to be covered in the pictures of one camera."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.config.privacy import Privacy
from pipeline.geometry import WidthHeight
from pipeline.privacy.blur import areas_of, pixelate
from pipeline.privacy.stencil import Picture, Stencil
from pipeline.wire import FrameResult

_MOST_SIZES = 4
"""Sizes of pictures whose masks stay drawn: the detector's, stills, the camera's own."""


class Cover:
    """Covers the pictures of one camera, of any size. Not thread-safe."""

    def __init__(self, privacy: Privacy) -> None:
        """Nothing is drawn yet.

        Args:
            privacy: What the fleet file says of the camera.
        """
        self._privacy = privacy
        self._stencils: dict[tuple[WidthHeight, WidthHeight], Stencil] = {}

    @property
    def covers(self) -> bool:
        """Whether anything is covered at all."""
        return self._privacy.any

    @property
    def needs_boxes(self) -> bool:
        """Whether what is covered depends on what is known of the picture."""
        return bool(self._privacy.blur)

    def apply(self, picture: Picture, frame_wh: WidthHeight, results: Sequence[FrameResult]) -> Picture:
        """Mask and blur a picture in place, and return it.

        Args:
            picture: (H, W, 3) uint8, contiguous, upright, the whole of what the camera sees, of any size and order of
                colours.
            frame_wh: Size of the camera's own upright picture, px, in which masks may be given.
            results: What is known of it: of its own frame, or of several around its moment. Where there is none, or
                each is `skipped`, nothing is known, and all of it is blurred if anything is to be.

        Raises:
            PrivacyError: A mask lies outside the camera's picture.
        """
        self.mask(picture, frame_wh)
        self.blur(picture, results)
        return picture

    def mask(self, picture: Picture, frame_wh: WidthHeight) -> None:
        """Paint over what is masked, in place; arguments and errors as of `apply`."""
        if not self._privacy.masks:
            return
        sizes = frame_wh, (picture.shape[1], picture.shape[0])
        stencil = self._stencils.get(sizes)
        if stencil is None:
            if len(self._stencils) >= _MOST_SIZES:
                self._stencils.clear()
            stencil = self._stencils[sizes] = Stencil(self._privacy.masks, *sizes)
        stencil.paint(picture)

    def blur(self, picture: Picture, results: Sequence[FrameResult]) -> None:
        """Make objects of the named classes unrecognisable, in place; arguments as of `apply`."""
        if not self._privacy.blur:
            return
        high, wide = picture.shape[:2]
        known = [result for result in results if result.origin != "skipped"]
        if known:
            pixelate(picture, areas_of(known, self._privacy.blur, self._privacy.margin, (wide, high)))
        else:
            pixelate(picture, [(0, 0, wide, high)])
