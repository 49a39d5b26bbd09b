"""What holds a fleet back, in words with their figures, and the lever to pull first.

The order is that of leverage: what costs nothing to change and frees most comes first. Other programs, then the
pictures (a camera's second stream), then the model (its input, INT8, a smaller one), then how often it looks (stride),
and the pipeline's own work last. Figures in, sentences out.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from pipeline.geometry import Letterbox, WidthHeight
from pipeline.profile.facts import Facts
from pipeline.profile.figures import STAGE_WORDS, Finding, Stage, Step, Way
from pipeline.supervise.status import role_of

OTHERS_SHARE = 0.2
"""What other programs may take before they are the first thing to change."""
BUSY_SHARE = 0.85
"""How busy lanes, or a loop, are at their limit."""
LONG_SHARE = 0.5
"""A step's time, as a share of the goal, from which it is what breaks it."""
DEAR = 2.5
"""A camera that takes so many times what the median one takes is told; if it matters (`DEAR_SHARE` of the fleet)."""
DEAR_SHARE = 0.1
WORTH_SHARE = 0.2
"""Of the fleet's cores: a stage from here on is worth a sentence although another is larger."""
LAG_S = 2.0
"""A sink that is so far behind is slow."""

PICTURES: tuple[Stage, ...] = ("receive", "decode", "resize")
DETECTOR: tuple[Stage, ...] = ("inference", "after")
OWN: tuple[Stage, ...] = ("slot", "decide", "track", "encode", "publish", "supervisor")


def find(facts: Facts) -> list[Finding]:
    """What to change, first lever first; one `none` where nothing is to be changed."""
    trouble: list[Finding] = []
    if not (facts.kept and facts.complete):
        trouble += [*_others(facts), *_network(facts), *_bottleneck(facts)]
    trouble += [*_dear(facts), *_sinks(facts)]
    return trouble or [_none(facts)]


def _bottleneck(facts: Facts) -> list[Finding]:
    """What keeps detections back, or frames from being on time."""
    if facts.full:
        return _of_the_cores(facts)
    if facts.lanes_busy is not None and facts.lanes_busy >= BUSY_SHARE * facts.lanes:
        return [_detector(facts)]
    step = _longest(facts)
    if step is not None and step[0] in ("inference", "after"):
        return [_deadline(facts, step[1])]
    if step is None or facts.loop >= BUSY_SHARE:
        return [_own(facts)]
    return [_wait(facts, *step)]


def _of_the_cores(facts: Facts) -> list[Finding]:
    """What takes the cores, of which none is left; the pictures first wherever they matter: they cost no accuracy."""
    pictures, detector, own = (facts.share(stages) for stages in (PICTURES, DETECTOR, OWN))
    worth = [_pictures(facts)] if pictures >= WORTH_SHARE else []
    if own > max(pictures, detector):
        return [_own(facts), *worth]
    if pictures >= detector:
        return [_pictures(facts), *([_detector(facts)] if detector >= WORTH_SHARE else [])]
    return [_detector(facts), *worth]


def _none(facts: Facts) -> Finding:
    stage, words = max(
        ((PICTURES, "receiving and decoding"), (DETECTOR, "the detector"), (OWN, "the pipeline itself")),
        key=lambda each: facts.of(each[0]),
    )
    idle = "" if facts.idle is None else f" {facts.idle:.2f} of {facts.cores:g} cores are idle."
    return Finding(
        kind="none",
        words=f"Nothing holds it back: {facts.run.detected_hz:.1f} of {facts.run.wanted_hz:.1f} wanted frames a second "
        f"are detected, and p95 is {facts.run.age.p95_ms:.0f} ms where {facts.slo_p95_ms:g} are promised.{idle} "
        f"Most of what it takes goes into {words}: {_percent(facts.share(stage))} of {facts.fleet:.2f} cores.",
        lever="",
    )


def _others(facts: Facts) -> Iterator[Finding]:
    others = facts.run.other_cores
    if others is not None and others >= OTHERS_SHARE * facts.cores and facts.full:
        yield Finding(
            kind="others",
            words=f"Other programs take {others:.2f} of {facts.cores:g} cores, and none is idle.",
            lever="End them, or give the fleet a machine of its own, before anything in the fleet is changed.",
        )


def _network(facts: Facts) -> Iterator[Finding]:
    late = _late(facts)
    ms = 0.0 if late is None else late.steps.get("capture", 0.0)
    if not facts.kept and late is not None and ms > LONG_SHARE * late.age_ms:
        yield Finding(
            kind="network",
            words=f"Late frames are {late.age_ms:.0f} ms old, and {ms:.0f} of these pass before they are here.",
            lever="Look at the cameras' clocks, their encoders' delay (B-frames, look-ahead) and the network: nothing "
            "on this machine makes those frames younger.",
        )


def _pictures(facts: Facts) -> Finding:
    cores, hz = facts.of(PICTURES), facts.run.published_hz
    per_ms = 1000 * cores / hz if hz > 0 else 0.0
    words = (
        f"Decoding takes {_percent(facts.share(PICTURES))} of the fleet's cores ({cores:.2f} of {facts.fleet:.2f}, "
        f"with receiving and resizing; {per_ms:.2f} ms a picture)."
    )
    large = [camera for camera in facts.cameras if _pixels_more(camera.frame_wh, facts.input_wh) > 1.5]
    if not large:
        return Finding(
            kind="decode",
            words=words,
            lever="The pictures are hardly larger than what the model looks at: let the cameras send fewer a second, "
            "or decode them by hardware (decode: auto).",
        )
    most = max(large, key=lambda camera: camera.cores)
    content_wh = Letterbox.fit(most.frame_wh, facts.input_wh).content_wh
    return Finding(
        kind="decode",
        words=words,
        lever=f"Take the cameras' sub-stream before touching the model: {_size(most.frame_wh)} is "
        f"{_pixels_more(most.frame_wh, facts.input_wh):.1f} times the pixels that the model looks at "
        f"({_size(content_wh)}). The large one can stay as evidence_url, which is not decoded.",
    )


def _detector(facts: Facts) -> Finding:
    cores, hz = facts.of(DETECTOR), facts.run.detected_hz
    busy = "" if facts.lanes_busy is None else f"; {facts.lanes_busy:.1f} of {facts.lanes} lanes compute at a time"
    per = f", {1000 * cores / hz:.1f} ms a detection" if hz > 0 and cores >= 0.05 else ""
    return Finding(
        kind="detector",
        words=f"The detector is at its limit: {hz:.1f} of {facts.run.wanted_hz:.1f} wanted frames a second are "
        f"detected; it takes {_percent(facts.share(DETECTOR))} of the fleet's cores ({cores:.2f}{per}{busy}).",
        lever=f"A smaller input than {_size(facts.input_wh)} first (time goes with the pixels), then INT8, then a "
        "smaller model or another device; a larger stride costs nothing where objects are slow.",
    )


def _deadline(facts: Facts, ms: float) -> Finding:
    overdue = facts.run.filled.get("overdue", 0) / facts.run.seconds
    return Finding(
        kind="deadline",
        words=f"One detection takes {ms:.0f} of the {facts.slo_p95_ms:g} ms that are promised, so that few frames can "
        f"be back in time ({overdue:.1f} a second are not) although {_idle(facts)}.",
        lever="Make one detection shorter: a smaller input, INT8, fewer lanes with more threads each, a faster device; "
        "or promise a larger slo.p95_ms.",
    )


def _wait(facts: Facts, step: Step, ms: float) -> Finding:
    where = {
        "wait": ("wait in the slot for a lane", "Let them go sooner: worker.max_wait_ms smaller, model.lanes larger."),
        "turn": (
            "wait for the frames before them, or for the next detection",
            "track.fill: predict answers at once; interpolate holds frames up to track.max_delay_ms.",
        ),
        "core": (
            "wait for a core while they are decoded",
            "Threads want more at once than there are cores: fewer lanes or threads in the detector, or more cores.",
        ),
        "decode": ("are decoded", "Take the cameras' sub-stream, or decode by hardware (decode: auto)."),
    }
    words, lever = where.get(step, ("are on their way", "Look at the steps above for the longest."))
    return Finding(
        kind="wait",
        words=f"Late frames {words} for {ms:.0f} of the {facts.slo_p95_ms:g} ms that are promised, while "
        f"{_idle(facts)}.",
        lever=lever,
    )


def _own(facts: Facts) -> Finding:
    cores, hz = facts.of(OWN), facts.run.published_hz
    stage = max(OWN, key=lambda each: facts.stages.get(each, 0.0))
    per_ms = 1000 * cores / hz if hz > 0 else 0.0
    loop = f", and the worker's loop {facts.loop:.2f} of the one core it can use" if facts.loop >= 0.5 else ""
    return Finding(
        kind="pipeline",
        words=f"The pipeline itself takes {cores:.2f} cores ({_percent(facts.share(OWN))} of the fleet's, "
        f"{per_ms:.2f} ms a frame), most of it in “{STAGE_WORDS[stage]}” ({facts.of((stage,)):.2f}){loop}; "
        f"{_idle(facts)}.",
        lever="Fewer frames a second from the cameras make everything here cheaper; more than one device gives each "
        "a worker of its own. --sample names the functions.",
    )


def _dear(facts: Facts) -> Iterator[Finding]:
    """A camera that takes much more than its fellows."""
    usual = median(camera.cores for camera in facts.cameras) if facts.cameras else 0.0
    for camera in facts.cameras:
        if len(facts.cameras) > 2 and camera.cores > max(DEAR * usual, DEAR_SHARE * facts.fleet):
            times = camera.cores / max(usual, 1e-3)
            decode = f"; one picture takes {camera.decode_ms:.1f} ms to decode" if camera.decode_ms else ""
            what = f"{camera.codec} {_size(camera.frame_wh)}, {camera.frame_hz:.0f} a second{decode}"
            yield Finding(
                kind="camera",
                words=f"Camera {camera.camera_id} takes {camera.cores:.2f} cores, {times:.1f} times what the median "
                f"camera does ({what}).",
                lever="Give it its sub-stream, or fewer pictures a second.",
            )


def _sinks(facts: Facts) -> Iterator[Finding]:
    for process in facts.processes:
        if role_of(process.name) == "sink" and process.detail:
            yield Finding(
                kind="sink",
                words=f"{process.name} does not keep up: {process.detail}.",
                lever="It costs no camera anything, and what waits on disk is bounded by spool_mb: make its place "
                "faster, or let it keep less (cameras, classes, min_score, every_s).",
            )
    sinks = facts.of(("sinks",))
    if sinks >= WORTH_SHARE * facts.fleet and facts.full:
        yield Finding(
            kind="sink",
            words=f"The sinks take {sinks:.2f} cores, {_percent(facts.share(('sinks',)))} of the fleet's.",
            lever="every_s, classes and min_score let them keep less; camfleet sink runs them on another machine.",
        )


def _late(facts: Facts) -> Way | None:
    """The late frames that decide on the promise: the older ones of those detected and those filled."""
    late = [way for way in facts.ways if way.rank == "p95"]
    return max(late, key=lambda way: way.age_ms, default=None)


def _longest(facts: Facts) -> tuple[Step, float] | None:
    """The step that takes most of late frames, if it takes `LONG_SHARE` of the goal; a capture is elsewhere."""
    late = next((way for way in facts.ways if (way.frames, way.rank) == ("detected", "p95")), _late(facts))
    if late is None:
        return None
    step, ms = max(((step, ms) for step, ms in late.steps.items() if step != "capture"), key=lambda each: each[1])
    return (step, ms) if ms >= LONG_SHARE * facts.slo_p95_ms else None


def _idle(facts: Facts) -> str:
    return "cores may be idle" if facts.idle is None else f"{facts.idle:.2f} of {facts.cores:g} cores are idle"


def _pixels_more(frame_wh: WidthHeight, input_wh: WidthHeight) -> float:
    """How many times the pixels of what the model looks at."""
    if 0 in frame_wh:
        return 0.0
    width, height = Letterbox.fit(frame_wh, input_wh).content_wh
    return frame_wh[0] * frame_wh[1] / (width * height)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _size(wh: WidthHeight) -> str:
    return f"{wh[0]}×{wh[1]}"
