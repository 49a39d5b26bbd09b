"""What is known of a device: whom to ask, and what it answered."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.discover.place import Trust


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks. Devices get the password as a digest only (WS-Security UsernameToken, or HTTP Digest)."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device that is to be asked.

    Attributes:
        trust: Whom it may be asked at.
        service: The address of its device service.
        name: What it calls itself, or empty.
        model: What it is, or empty.
        notes: What the user should know of it, sentences.
    """

    trust: Trust
    service: str
    name: str = ""
    model: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """One of a device's streams.

    Attributes:
        token: The device's own name of it.
        name: For people.
        source: Which of the device's video inputs it shows; an encoder or a recorder has several.
        codec: `H264`, `JPEG` or `MPEG4`; another word, or none, of a device that has something newer.
        size_wh: In pixels, if it is told.
        fps: At most, if it is told.
        bitrate_kbps: At most, if it is told.
        uri: Where it is, at a trusted host; may hold secrets. Empty where the device names none that can be used.
    """

    token: str
    name: str
    source: str
    codec: str
    size_wh: tuple[int, int] | None = None
    fps: float | None = None
    bitrate_kbps: int | None = None
    uri: str = field(default="", repr=False)

    @property
    def pixels(self) -> int:
        """In a picture; 0 if that is not known."""
        return self.size_wh[0] * self.size_wh[1] if self.size_wh else 0


@dataclass(frozen=True, slots=True)
class Device:
    """A device that was asked.

    Attributes:
        host: Where it is.
        name: What it calls itself, or empty.
        maker: Who made it, or empty.
        model: What it is, or empty.
        profiles: Its streams.
        notes: What the user should know of it, sentences.
        error: Why its streams are not known, words that follow the host's name; empty if they are.
    """

    host: str
    name: str = ""
    maker: str = ""
    model: str = ""
    profiles: tuple[Profile, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""

    @property
    def title(self) -> str:
        """Its make and model, or its own name, or its host."""
        make = self.model if self.model.lower().startswith(self.maker.lower()) else f"{self.maker} {self.model}"
        return make.strip() or self.name or self.host
