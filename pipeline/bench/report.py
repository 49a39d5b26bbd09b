"""A bench as tables and sentences for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.bench.figures import Bench, CameraCost, FleetRun, Percentiles, ProcessUse
from pipeline.supervise.status import role_of


def report(bench: Bench) -> RenderableType:
    """Everything that was found, the conclusions last."""
    parts: list[RenderableType] = [_overview(bench)]
    failed = [camera for camera in bench.cameras if camera.error]
    parts += [Text(f"{camera.camera_id}: {camera.error}", "red") for camera in failed]
    parts += [Text(words) for words in bench.verdict.words]
    return Group(*parts)


def _overview(bench: Bench) -> Table:
    table = Table(
        title=f"fleet {bench.fleet} on {bench.cores:g} cores ({bench.machine})",
        title_justify="left",
        box=None,
        pad_edge=False,
        show_header=False,
    )
    table.add_column(style="bold", no_wrap=True, min_width=14)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    for number, section in enumerate(
        (_bare(bench), _cameras(bench), _run(bench.run), _stages(bench.run), _cores(bench))
    ):
        if number:
            table.add_row()
        for row in section:
            table.add_row(*row)
    return table


Row = tuple[str, str, str]


def _bare(bench: Bench) -> Iterator[Row]:
    bare = bench.bare
    lanes = f"{bare.lanes} lanes of {bare.batch}, {_size(bare.input_wh)}"
    where = f"{bare.devices} devices together, {lanes}" if bare.devices > 1 else lanes
    yield "detector alone", "images a second", f"{bare.images_hz:.1f}"
    yield "", f"ms an image ({where})", f"{bare.ms_per_image:.2f}"
    yield "", "ms of CPU time an image", f"{bare.cpu_ms_per_image:.2f}"


def _cameras(bench: Bench) -> Iterator[Row]:
    for number, camera in enumerate(bench.cameras):
        yield "decoding alone" if number == 0 else "", _camera(camera), "failed" if camera.error else _cost(camera)


def _camera(camera: CameraCost) -> str:
    if camera.error:
        return camera.camera_id
    return f"{camera.camera_id}: {camera.codec} {_size(camera.frame_wh)} at {camera.fps:g} fps"


def _cost(camera: CameraCost) -> str:
    return f"{camera.decode_ms:.2f} ms, {camera.decode_cores:.3f} cores"


def _run(run: FleetRun) -> Iterator[Row]:
    yield f"fleet, {run.seconds:.0f} s", "published a second", f"{run.published_hz:.1f}"
    yield "", f"detected a second ({run.wanted_hz:.1f} wanted)", f"{run.detected_hz:.1f}"
    yield "", "lost", f"{sum(run.lost.values())}"
    cameras = [process for process in run.processes if role_of(process.name) == "camera"]
    for process in run.processes:
        if process not in cameras:
            yield "", f"cores / MB, {process.name}", _use([process])
    yield "", f"cores / MB, {len(cameras)} cameras together", _use(cameras)


def _stages(run: FleetRun) -> Iterator[Row]:
    yield "latency", "ms", "p50 / p95 / p99"
    yield "", "age, all published", _three(run.age)
    yield "", "age, detected", _three(run.detected_age)
    for words, stages in (("detected", run.detected_stages), ("filled", run.filled_stages)):
        for stage, times in stages.items():
            yield "", f"  {stage}, {words}", _three(times)


def _cores(bench: Bench) -> Iterator[Row]:
    budget = bench.verdict.budget
    shares = {
        "decoding": budget.decode,
        "scaling and handing over": budget.hand_over,
        "detecting": budget.detector,
        "the rest of the worker": budget.worker_rest,
        "other programs": budget.others,
        "idle": budget.idle,
    }
    for number, (words, cores) in enumerate(shares.items()):
        yield "cores" if number == 0 else "", words, f"{cores:.2f}"


def _use(processes: list[ProcessUse]) -> str:
    return f"{sum(each.cores for each in processes):.2f} / {sum(each.memory_mb for each in processes):.0f}"


def _three(times: Percentiles) -> str:
    return f"{times.p50_ms:.1f} / {times.p95_ms:.1f} / {times.p99_ms:.1f}"


def _size(wh: tuple[int, int]) -> str:
    return f"{wh[0]}×{wh[1]}"
