"""What is known of a fleet in the words of Prometheus: base units, counters that only grow, few labels, all bounded.

Counters and histograms stay as they are while the fleet is silent; what is said of now is left out then, because it is
not known. So is whatever is not known of a camera: it has no value, rather than 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.web.known import KnownCamera, KnownFleet, sees
from pipeline.web.measured import Taken
from pipeline.web.totals import Names
from pipeline.wire import CameraFigures, FleetState, LookFigures, ProcessFigures, SinkState, State

__all__ = ["CONTENT_TYPE_LATEST", "collected", "text_of"]

_STATES = get_args(State)


def collected(known: KnownFleet, taken: Mapping[str, Taken]) -> list[Metric]:
    """All metrics of now.

    Args:
        known: The fleet.
        taken: What its processes take of the machine, by name.
    """
    return list(_Collector(known, taken).collect())


def text_of(metrics: Iterable[Metric]) -> bytes:
    """The same as Prometheus reads it; may be called from any thread."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(metrics))
    return generate_latest(registry)


class _Collected(Collector):
    """Metrics that were made before."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class _Collector:
    """Makes metrics of what is known. Not thread-safe."""

    def __init__(self, known: KnownFleet, taken: Mapping[str, Taken]) -> None:
        self._known, self._taken = known, taken
        self._reasons = Names()

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        yield from self._of_fleet()
        yield from self._of_frames()
        yield from self._of_cameras()
        state = self._known.state
        if state is not None:
            yield from _of_figures(state)
            yield from _of_processes(state.processes, self._taken)
            yield from _of_looks(state.processes)
            yield from _of_sinks(state.processes)

    def _of_fleet(self) -> Iterator[Metric]:
        known, state = self._known, self._known.state
        yield _gauge("camfleet_fleet_info", {"fleet": known.name}, 1)
        yield _gauge("camfleet_up", {}, state is not None)
        if known.told_s_ago is not None:
            yield _gauge("camfleet_heartbeat_age_seconds", {}, known.told_s_ago)
        if state is not None:
            yield _gauge("camfleet_slo_seconds", {}, state.p95_ms / 1000)
        if state is not None and state.kept is not None:
            yield _gauge("camfleet_slo_kept", {}, state.kept)
        if state is not None and state.max_loss is not None:
            yield _gauge("camfleet_slo_loss_points", {}, state.max_loss)
        if state is not None and state.loss_kept is not None:
            yield _gauge("camfleet_slo_loss_kept", {}, state.loss_kept)
        stages = HistogramMetricFamily(
            "camfleet_stage_latency_seconds",
            "How long detected frames took, by stage; the stages add up to the age.",
            labels=["stage"],
        )
        for stage, spent in known.stages.items():
            stages.add_metric([stage], spent.buckets(), spent.sum)
        yield stages

    def _of_frames(self) -> Iterator[Metric]:
        """The books: decoded = detected + filled + lost, for each camera."""
        decoded = _camera_counter("camfleet_frames_decoded", "Frames decoded.")
        detected = _camera_counter("camfleet_frames_detected", "Frames the detector ran on.")
        filled = _camera_counter("camfleet_frames_filled", "Frames it did not run on, by reason.", "reason")
        lost = _camera_counter("camfleet_frames_lost", "Frames that were never published, by cause.", "cause")
        for name, camera in self._known.cameras.items():
            counts = camera.sessions.whole
            decoded.add_metric([name], counts.decoded)
            detected.add_metric([name], counts.detected)
            self._add(filled, name, counts.filled)
            self._add(lost, name, counts.lost)
        yield from (decoded, detected, filled, lost)

    def _add(self, counter: CounterMetricFamily, camera_id: str, counts: Mapping[str, int]) -> None:
        summed: dict[str, int] = {}
        for name, count in counts.items():
            label = self._reasons.of(name)
            summed[label] = summed.get(label, 0) + count
        for label, count in summed.items():
            counter.add_metric([camera_id, label], count)

    def _of_cameras(self) -> Iterator[Metric]:
        now_s, cameras = self._known.now_s, self._known.cameras
        ages = HistogramMetricFamily(
            "camfleet_frame_age_seconds", "From capture to publication, of every published frame.", labels=["camera"]
        )
        objects = GaugeMetricFamily(
            "camfleet_camera_objects",
            "Objects in view, by class; no value where no detection stands behind the newest frame.",
            labels=["camera", "class"],
        )
        for name, camera in cameras.items():
            ages.add_metric([name], camera.ages.buckets(), camera.ages.sum)
            for class_name, count in (camera.objects(now_s, self._known.classes) or {}).items():
                objects.add_metric([name, class_name], count)
        yield ages
        yield objects
        for counter, of in _COUNTED.items():
            metric = _camera_counter(counter, _HELP[counter])
            for name, camera in cameras.items():
                metric.add_metric([name], of(camera))
            yield metric
        for gauge, since in _SINCE.items():
            yield _camera_gauge(gauge, {name: since(camera, now_s) for name, camera in cameras.items()})


def _of_figures(state: FleetState) -> Iterator[Metric]:
    """What the fleet says of each camera now."""
    states = GaugeMetricFamily(
        "camfleet_camera_state", "1 for the state that the camera is in, 0 for all others.", labels=["camera", "state"]
    )
    for name, figures in state.cameras.items():
        for one in _STATES if figures.state is not None else ():
            states.add_metric([name, one], one == figures.state)
    yield states
    yield _camera_gauge("camfleet_camera_slo_kept", {name: _keeps(name, state) for name in state.cameras})
    for gauge, of in _FIGURES.items():
        yield _camera_gauge(gauge, {name: of(figures) for name, figures in state.cameras.items()})


def _keeps(camera_id: str, state: FleetState) -> bool | None:
    """Whether a camera keeps the promise; None where that is not known, or not asked."""
    if camera_id in state.broken_by:
        return False
    return True if sees(state.cameras[camera_id]) else None


def _of_processes(processes: tuple[ProcessFigures, ...], taken: Mapping[str, Taken]) -> Iterator[Metric]:
    labels = ["process", "role"]
    running = GaugeMetricFamily("camfleet_process_running", "Whether it runs.", labels=labels)
    restarts = CounterMetricFamily("camfleet_process_restarts", "How often it was started again.", labels=labels)
    cpu = CounterMetricFamily("camfleet_process_cpu_seconds", "Processor time, of all its lives.", labels=labels)
    gauges, lanes = (
        {name: GaugeMetricFamily(name, _HELP[name], labels=labels) for name in names} for names in (_TAKEN, _LANES)
    )
    for process in processes:
        at = [process.name, process.role]
        running.add_metric(at, process.condition == "running")
        restarts.add_metric(at, process.restarts)
        for name, of in _LANES.items():
            if (value := of(process)) is not None:
                lanes[name].add_metric(at, value)
        if (of_process := taken.get(process.name)) is not None:
            cpu.add_metric(at, of_process.cpu_s)
            for name, gauge in gauges.items():
                if (value := _TAKEN[name](of_process)) is not None:
                    gauge.add_metric(at, value)
    yield from (running, restarts, cpu, *gauges.values(), *lanes.values())


def _of_looks(processes: tuple[ProcessFigures, ...]) -> Iterator[Metric]:
    """What came of second looks, by worker and attribute."""
    for name, of in _LOOKS.items():
        metric = CounterMetricFamily(name, _HELP[name], labels=["process", "attribute"])
        for process in processes:
            for attribute, looks in process.looks.items():
                metric.add_metric([process.name, attribute], of(looks))
        yield metric


def _of_sinks(processes: tuple[ProcessFigures, ...]) -> Iterator[Metric]:
    """What waits, and what is not kept, by the sinks' names in the fleet file."""
    known = {process.name.removeprefix("sink "): process.sink for process in processes if process.sink is not None}
    for name, of in _SINKS.items():
        kind = GaugeMetricFamily if name in _WAITING else CounterMetricFamily
        metric = kind(name, _HELP[name], labels=["sink"])
        for sink, state in known.items():
            metric.add_metric([sink], of(state))
        yield metric


_COUNTED: Mapping[str, Callable[[KnownCamera], int]] = {
    "camfleet_frames_judged": lambda camera: camera.promised.judged,
    "camfleet_frames_kept": lambda camera: camera.promised.kept,
    "camfleet_camera_reconnects": lambda camera: camera.reconnects.whole,
}
_SINCE: Mapping[str, Callable[[KnownCamera, float], float | None]] = {
    "camfleet_camera_last_frame_age_seconds": KnownCamera.since_frame_s,
    "camfleet_camera_last_detection_age_seconds": KnownCamera.since_detection_s,
}
_FIGURES: Mapping[str, Callable[[CameraFigures], float | None]] = {
    "camfleet_camera_frames_per_second": lambda figures: figures.frame_hz,
    "camfleet_camera_detections_per_second": lambda figures: figures.detect_hz,
    "camfleet_camera_stride_frames": lambda figures: figures.stride or None,
    "camfleet_camera_loss_points": lambda figures: figures.loss,
    "camfleet_camera_slo_kept_ratio": lambda figures: (
        None if figures.kept_percent is None else figures.kept_percent / 100
    ),
}
_TAKEN: Mapping[str, Callable[[Taken], int | None]] = {
    "camfleet_process_resident_memory_bytes": lambda taken: taken.resident_bytes,
    "camfleet_process_proportional_memory_bytes": lambda taken: taken.proportional_bytes,
    "camfleet_process_open_fds": lambda taken: taken.descriptors,
}
_LANES: Mapping[str, Callable[[ProcessFigures], float | None]] = {
    "camfleet_worker_lanes": lambda process: process.lanes,
    "camfleet_worker_lanes_busy": lambda process: process.lanes_busy,
}
_LOOKS: Mapping[str, Callable[[LookFigures], float]] = {
    "camfleet_looks_given": lambda looks: looks.given,
    "camfleet_looks_told": lambda looks: looks.told,
    "camfleet_looks_failed": lambda looks: looks.failed,
    "camfleet_looks_seconds": lambda looks: looks.took_s,
}
_WAITING: Mapping[str, Callable[[SinkState], float]] = {
    "camfleet_sink_waiting": lambda sink: sink.waiting,
    "camfleet_sink_lag_seconds": lambda sink: sink.lag_s,
}
_SINKS: Mapping[str, Callable[[SinkState], float]] = {
    **_WAITING,
    "camfleet_sink_written": lambda sink: sink.written,
    "camfleet_sink_lost": lambda sink: sink.lost,
    "camfleet_sink_missed": lambda sink: sink.missed,
}
_HELP = {
    "camfleet_fleet_info": "1, with the name of the fleet.",
    "camfleet_up": "Whether the fleet said how it is within 3 s; 0 says that nothing is known of now.",
    "camfleet_heartbeat_age_seconds": "Since the fleet last said how it is; no value before it did.",
    "camfleet_slo_seconds": "The age that is promised for 95 of 100 frames.",
    "camfleet_slo_kept": "Whether all cameras that should deliver keep the promise; no value while that is not known.",
    "camfleet_slo_loss_points": "Points of HOTA that each camera may lose by not being detected on every frame.",
    "camfleet_slo_loss_kept": "Whether no camera that should deliver loses more; no value while that is not known.",
    "camfleet_frames_judged": "Published frames whose age was compared with the promised one.",
    "camfleet_frames_kept": "Of those, frames that were young enough and that a detection stands behind.",
    "camfleet_camera_reconnects": "How often the connection was made again.",
    "camfleet_camera_last_frame_age_seconds": "Since its newest frame came; no value before the first.",
    "camfleet_camera_last_detection_age_seconds": "Since the capture of its newest detected frame; likewise.",
    "camfleet_camera_frames_per_second": "Frames published a second, of late.",
    "camfleet_camera_detections_per_second": "Frames detected a second, of late.",
    "camfleet_camera_stride_frames": "Every how many frames the detector is offered one.",
    "camfleet_camera_loss_points": "Points of HOTA that it loses so, as estimated of late; no value while not known.",
    "camfleet_camera_slo_kept": "Whether it keeps the promise; no value while that is not known, or not asked of it.",
    "camfleet_camera_slo_kept_ratio": "Share of its frames of late within the promised age, with a detection behind.",
    "camfleet_process_resident_memory_bytes": "Memory, all that is shared with others included (RSS).",
    "camfleet_process_proportional_memory_bytes": "Memory, what is shared counted in part (PSS).",
    "camfleet_process_open_fds": "Open files and sockets.",
    "camfleet_worker_lanes": "How many detections may run at once.",
    "camfleet_worker_lanes_busy": "How many ran, on average over the last second.",
    "camfleet_looks_given": "Crops that a second model has looked at, by the attribute that it gives.",
    "camfleet_looks_told": "Of those, looks that were sure enough to be told.",
    "camfleet_looks_failed": "Crops that were not looked at because the second model failed.",
    "camfleet_looks_seconds": "How long the detector's lanes took for second looks.",
    "camfleet_sink_waiting": "Messages that wait on disk for the sink's place.",
    "camfleet_sink_lag_seconds": "How long ago the oldest of them came; 0 where none waits.",
    "camfleet_sink_written": "Messages that the sink's place has taken.",
    "camfleet_sink_lost": "Messages that gave way to newer ones, or that its place will never take.",
    "camfleet_sink_missed": "Messages that were published and never reached the sink.",
}


def _gauge(name: str, labels: Mapping[str, str], value: float) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, _HELP[name], labels=list(labels))
    gauge.add_metric(list(labels.values()), value)
    return gauge


def _camera_counter(name: str, words: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, words, labels=["camera", *labels])


def _camera_gauge(name: str, values: Mapping[str, float | None]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, _HELP[name], labels=["camera"])
    for camera_id, value in values.items():
        if value is not None:
            gauge.add_metric([camera_id], value)
    return gauge
