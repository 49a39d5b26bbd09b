"""Every error that camfleet raises on purpose.

PipelineError
├── ConfigError          the fleet file, or an option, is wrong
├── SourceError          a camera or recording cannot be opened, read or decoded
│   └── SourceLost       it worked and the connection broke: worth trying again
├── SlotError            the shared-memory slot of a camera cannot be made or opened
├── DetectorError        a model cannot be loaded, or cannot serve this fleet
├── WireError            bytes that are no camfleet message, or of an unknown version
├── PublishError         the results cannot be published where the fleet file says
├── PageError            the page cannot be served where the fleet file says
├── ClusterError         a fleet cannot be run over several machines, or one of them is gone
├── ControlError         a running fleet cannot be asked, or refuses what was asked
├── SubscriberTimeout    no message within the time the caller gave
├── SubscriberClosed     the subscriber was closed, by this thread or another
├── SinkError            results cannot be kept, or read back, where they should
├── RenderError          results cannot be drawn on a recording, or do not fit it
├── PrivacyError         a picture cannot be covered as it should, and so is not shown
├── RuleError            a zone or line does not fit the camera's picture, or results cannot be judged by it
├── ReplayError          a recording cannot be served as a camera
├── RtspError            what a client sent is not RTSP
├── ProfileError         a running fleet cannot be measured
├── BurstError           a scenario cannot be run, or its report not be read or written
├── RehearsalError       two fleets cannot be rehearsed over recordings, or what came of it not be written
└── EvaluationError      ground truth or detections cannot be scored

A message says what is wrong, where, and what to do about it. Commands print it as one line and exit with 2;
only a mistake of ours ends in a traceback. A module may refine one of these for a caller within the package, as
`MalformedRequest` refines `RtspError`; every error of the package derives from one that is drawn here.
"""

from __future__ import annotations


class PipelineError(Exception):
    """Anything a user can be told in one message."""


class ConfigError(PipelineError):
    """The fleet file or an option is wrong."""


class SourceError(PipelineError):
    """A camera or recording cannot be opened, read or decoded."""


class SourceLost(SourceError):
    """A source that worked has stopped answering."""


class SlotError(PipelineError):
    """The shared-memory slot of a camera cannot be made or opened."""


class DetectorError(PipelineError):
    """A model cannot be loaded, or cannot serve this fleet."""


class WireError(PipelineError):
    """Bytes that are no camfleet message, or of a version this client does not know."""


class PublishError(PipelineError):
    """The results cannot be published where the fleet file says."""


class PageError(PipelineError):
    """The page cannot be served where the fleet file says, or a picture not be shown."""


class ClusterError(PipelineError):
    """A fleet cannot be run over several machines: there is no cluster, or what is to be there is not."""


class ControlError(PipelineError):
    """A running fleet cannot be asked, or refuses what was asked."""


class SubscriberTimeout(PipelineError):
    """No message came within the time the caller gave."""


class SubscriberClosed(PipelineError):
    """The subscriber was closed, by this thread or another; iterators end without it."""


class SinkError(PipelineError):
    """Results cannot be kept, or be read back, where they should: a server is away, a file is full or foreign."""


class RenderError(PipelineError):
    """Results cannot be drawn on a recording, or do not fit it."""


class PrivacyError(PipelineError):
    """A picture cannot be covered as the fleet file says, and so is not shown."""


class RuleError(PipelineError):
    """A zone or line does not fit the camera's picture, or results cannot be judged by it."""


class ReplayError(PipelineError):
    """A recording cannot be served as a camera."""


class RtspError(PipelineError):
    """What a client sent is not RTSP."""


class ProfileError(PipelineError):
    """A fleet cannot be measured while it runs: it has ended, no camera delivers, or a tool is missing."""


class BurstError(PipelineError):
    """A scenario cannot be run, or its report cannot be read or written."""


class RehearsalError(PipelineError):
    """Two fleets cannot be rehearsed over recordings, or what came of it cannot be written."""


class EvaluationError(PipelineError):
    """Ground truth or detections cannot be read or scored."""
