"""What zeep makes of a device's answers, taken for what it is: anything may be missing or odd."""

from __future__ import annotations

import datetime as dt
from math import isfinite
from typing import Any

from pipeline.discover.datagram import scope
from pipeline.discover.device import Profile
from pipeline.discover.plain import shown

MOST_PROFILES = 256


def clock_diff(told: Any, now: dt.datetime) -> dt.timedelta | None:
    """How far a device's clock is ahead, from its answer to GetSystemDateAndTime; None if it does not say."""
    try:
        date, time = told.UTCDateTime.Date, told.UTCDateTime.Time
        parts = (date.Year, date.Month, date.Day, time.Hour, time.Minute, min(time.Second, 59))
        return dt.datetime(*parts, tzinfo=dt.UTC) - now
    except (AttributeError, TypeError, ValueError, OverflowError):
        return None


def addresses(told: Any) -> dict[str, str]:
    """A device's services by their namespace, from its answer to GetServices."""
    services = told if isinstance(told, list) else []
    pairs = [(getattr(one, "Namespace", None), getattr(one, "XAddr", None)) for one in services]
    return {str(name): str(address) for name, address in pairs if name and address}


def name(told: Any) -> str:
    """What a device calls itself, from its answer to GetScopes; empty if it does not say."""
    return scope([str(getattr(one, "ScopeItem", "")) for one in told], "name") if isinstance(told, list) else ""


def profiles(told: Any) -> list[Profile]:
    """A device's streams, from its answer to GetProfiles; addresses are not among it."""
    found = told if isinstance(told, list) else []
    return [profile for one in found[:MOST_PROFILES] if (profile := _profile(one)) is not None]


def _profile(told: Any) -> Profile | None:
    """None of a profile without video."""
    encoder, source = getattr(told, "VideoEncoderConfiguration", None), getattr(told, "VideoSourceConfiguration", None)
    token = getattr(told, "token", None)
    if (encoder is None and source is None) or not token:
        return None
    size, rate = getattr(encoder, "Resolution", None), getattr(encoder, "RateControl", None)
    width, height = _number(getattr(size, "Width", None)), _number(getattr(size, "Height", None))
    kbps = _number(getattr(rate, "BitrateLimit", None))
    return Profile(
        token=str(token),
        name=word(told, "Name") or shown(token),
        source=str(getattr(source, "SourceToken", None) or ""),
        codec=word(encoder, "Encoding"),
        size_wh=(int(width), int(height)) if width and height else None,
        fps=_number(getattr(rate, "FrameRateLimit", None)),
        bitrate_kbps=int(kbps) if kbps else None,
    )


def word(told: Any, name: str) -> str:
    """A text of an answer, fit to be shown; empty if there is none."""
    return shown(getattr(told, name, None) or "")


def _number(value: object) -> float | None:
    """A number that a camera can mean; None of anything else."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if isfinite(number) and 0 < number < 1e6 else None
