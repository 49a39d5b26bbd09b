"""When a coded picture is complete, told by its last piece; believed only where it has been shown to be right.

Packetizers cut slices into fragments of one size, and the last one is smaller; cameras code every picture in the same
number of slices. So the picture is complete with the small last fragment of its last slice. That is a guess, and FFmpeg
tells, one picture later, whether it was right. Cameras that limit slices by size code quiet pictures in one slice and
lively ones in several: what holds for a hundred quiet pictures is wrong for the first one in which something happens.
So proof has to include a key frame, the largest of all pictures, and where pictures are one slice each, one that did
not fit into a packet; and a guess is not used for a picture that is larger than any for which the rule held, because
there another slice may begin. Each time the rule did not hold, eight times as long a proof is asked for.
"""

from __future__ import annotations

from pipeline.camera.nal import HEADER_BYTES, Codec

PROOF = 16
"""So many guesses must have been right, none wrong between them, before one is used."""
HARDER = 8
"""So many times as long a proof, once the rule did not hold."""


class EarlyEnd:
    """Watches the pictures of one stream. Pure arithmetic."""

    def __init__(self, codec: Codec = "h264") -> None:
        self.doubt = ""
        """Why the rule is not believed, in words; empty while nothing speaks against it."""
        self._asked = PROOF
        self._usual_slices: int | None = None
        self._codec = codec
        self._header = HEADER_BYTES[codec]
        self._sizes = _Sizes(self._header)
        self._right = self._largest = 0
        self._key = self._fragmented = False

    def renewed(self) -> EarlyEnd:
        """For the same stream, coded otherwise from here on: nothing is known of that, and no rule was broken."""
        fresh = EarlyEnd(self._codec)
        fresh._asked = self._asked
        return fresh

    @property
    def believed(self) -> bool:
        """Whether a guess may be used before FFmpeg has confirmed it."""
        return self._right >= self._asked and self._key and (self._fragmented or self._usual_slices != 1)

    def holds_for(self, size: int) -> bool:
        """Whether a guess may be used of a picture of so many bytes."""
        return self.believed and size <= self._largest

    def guess(self, size: int, *, begins: int, ends_in_slice: bool, slices: int) -> bool:
        """Whether a picture seems complete with its newest piece.

        Args:
            size: Of the piece without the start code that it begins with, bytes.
            begins: So many NAL units begin with the piece and in it: none where it goes on with one, several in an
                aggregate.
            ends_in_slice: The NAL unit that the piece ends in is a slice.
            slices: Of the picture so far.
        """
        is_last = self._sizes.is_short(size, begins)
        self._fragmented = self._fragmented or (ends_in_slice and not begins)
        return is_last and ends_in_slice and slices == self._usual_slices

    def settle(self, slices: int, size: int, *, right: bool | None, key: bool) -> None:
        """Learn from a picture whose end is certain.

        Args:
            slices: Of the picture.
            size: Of the picture, bytes.
            right: What became of the guess; None of none.
            key: It is a key frame.
        """
        if self._usual_slices is not None and slices != self._usual_slices:
            self._doubt("its pictures are coded in varying numbers of slices")
        elif right is False:
            self._doubt("its pictures go on after short packets")
        else:
            self._right += right is True
            self._largest = max(self._largest, size)
            self._key = self._key or key
            self.doubt = "" if self.believed else self.doubt
        self._usual_slices = slices

    def _doubt(self, why: str) -> None:
        self.doubt = why
        self._sizes = _Sizes(self._header)
        self._right, self._largest, self._key = 0, 0, False
        self._asked *= HARDER


class _Sizes:
    """How large a packet's payload is at most, learned from pieces; a whole NAL unit may be larger than a fragment.

    A piece that another goes on with is a fragment of full size. Until there is one, NAL units that came whole tell it:
    they may take what the headers of a fragment would (RFC 6184 §5.8, RFC 7798 §4.4.3). Cameras were seen to cut at
    1400 bytes what does not fit into 1460.
    """

    def __init__(self, header: int) -> None:
        self._header = header
        self._full = self._whole = self._before = 0

    def is_short(self, size: int, begins: int) -> bool:
        """Whether a piece is shorter than a fragment that goes on would be; learns from it."""
        if begins:
            # Of each further unit in an aggregate, the start code is longer than the length that it stands for.
            payload = size - self._header - 4 * (begins - 1)
            self._whole = max(self._whole, payload - 1)
            self._before = payload
        else:
            self._full = max(self._full, self._before)
            self._before = size
        return size < (self._full or self._whole)
