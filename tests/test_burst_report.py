"""The report of a canned run: that it is whole, that it fetches nothing, and that two can be compared."""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from pipeline.burst.report.charts import MOST_PANELS, grouped
from pipeline.burst.report.compare import FIGURES, comparison, complaints, ratio, worse_by
from pipeline.burst.report.page import page, write_page
from pipeline.burst.result import (
    AgePercentiles,
    BurstReport,
    CameraFigures,
    CameraSeries,
    Check,
    Event,
    FaultMark,
    PhaseReport,
    ProcessSeries,
    Series,
    Surroundings,
    Truth,
    read_report,
    write_report,
)
from pipeline.burst.verdict import print_verdict
from pipeline.errors import BurstError

DEADLINE_S = 100
SECONDS = 12
SOME = AgePercentiles(p50=20.0, p95=60.0, p99=90.0)


def figures(camera_id: str, published: int = 150) -> CameraFigures:
    return CameraFigures(
        camera_id=camera_id,
        offered=150,
        published=published,
        detected=published // 2,
        filled={"stride": published // 2},
        lost={"decode": 1},
        age=SOME if published else AgePercentiles(p50=None, p95=None, p99=None),
        fleet_age=SOME,
        stride=2.0,
    )


def phase(name: str, kind: str, start_s: float, checks: list[Check], cameras: list[str], **more: object) -> PhaseReport:
    return PhaseReport(
        name=name,
        kind=kind,  # type: ignore[arg-type]
        detail="",
        start_s=start_s,
        judged_s=start_s,
        end_s=start_s + 4,
        fleet=figures("all"),
        cameras=[figures(camera_id) for camera_id in cameras],
        checks=checks,
        **more,  # type: ignore[arg-type]
    )


def canned(cameras: int = 2, p95_ms: float = 60.0) -> BurstReport:
    """Three phases of four seconds, the second a burst, the third with a fault; one check fails."""
    names = [f"cam{number}" for number in range(cameras)]
    good = Check(what="p95_ms", expected="≤ 150 ms", found="60 ms", passed=True)
    bad = Check(what="max_recovery_s", expected="≤ 2 s", found="never", passed=False, miss="<never> came back")
    line: list[float | None] = [p95_ms] * SECONDS
    gap: list[float | None] = [None, *line[1:]]
    return BurstReport(
        scenario="canned",
        started_at="2026-01-01T00:00:00+00:00",
        duration_s=float(SECONDS),
        passed=False,
        slo_p95_ms=150.0,
        phases=[
            phase("calm & quiet", "steady", 0, [good], names),
            phase("rush", "burst", 4, [good], names),
            phase("bad", "fault", 8, [bad], names, target="cam0", others_p95_ms=70.0, others_p95_before_ms=60.0),
        ],
        checks=[Check(what="books", expected="all", found="all", passed=True)],
        faults=[FaultMark(name="silence", camera="cam0", start_s=9.0, end_s=10.0)],
        events=[Event(at_s=9.5, subject="camera cam0", text="retrying: <it> broke off")],
        truth=Truth(published=450, matched=440, age=SOME, fleet_age=SOME, difference=SOME),
        series=Series(
            at_s=[second + 0.5 for second in range(SECONDS)],
            p50=line,
            p95=gap,
            p99=line,
            fleet_p95=line,
            published=[50] * SECONDS,
            detected=[25] * SECONDS,
            filled={"stride": [25] * SECONDS, "stale": [1] * SECONDS},
            lost={"decode": [1] * SECONDS},
            stride=gap,
            cameras={
                name: CameraSeries(p50=line, p95=gap, p99=line, published=[25] * SECONDS, stride=gap) for name in names
            },
        ),
        processes=[
            ProcessSeries(name="worker", at_s=[1.0, 2.0], cores=[0.5, 0.6], memory_mb=[100.0, 101.0]),
            ProcessSeries(name="camera cam0", at_s=[1.0, 2.0], cores=[0.1, 0.2], memory_mb=[40.0, 40.0]),
            ProcessSeries(name="camera cam1", at_s=[2.0], cores=[0.1], memory_mb=[40.0]),
        ],
        surroundings=Surroundings(
            machine="a machine",
            cores=2,
            memory_gb=8.0,
            versions={"camfleet": "0.1.0"},
            scenario_yaml="name: canned",
            fleet_yaml="cameras: {}",
            log=["a line of the log"],
        ),
    )


@pytest.mark.parametrize("cameras", [1, 14, MOST_PANELS + 1], ids=["one", "fourteen", "a map of many"])
def test_page_is_self_contained_and_whole(cameras: int):
    html = page(canned(cameras))
    assert not re.search(r"https?:|//[a-z]|\bsrc=(?!\"data:)|@import|<link|<script", html), "it would fetch something"
    assert not re.search(r"(?:href|url\()\s*=?\s*[\"']?(?!#|\"#|data:)[a-z]", html.replace("image/png", ""))
    for words in ("FAILED", "What failed", "calm &amp; quiet", "&lt;never&gt; came back", "Truth about latency"):
        assert words in html
    assert html.count("<svg") == 7
    for element in ("svg", "section", "table", "details", "main"):
        assert len(re.findall(rf"<{element}[ >]", html)) == html.count(f"</{element}>"), element
    ids = re.findall(r'<(?:clipPath|path|image)[^>]* id="([^"]+)"', html)
    assert len(ids) == len(set(ids)), "charts must not share ids of what they refer to"
    for used in re.findall(r'(?:href="#|url\(#)([^")]+)', html):
        assert f'id="{used}"' in html, "a chart refers to what is not there"


def test_page_of_a_run_without_frames_is_drawn():
    empty = canned()
    nothing: list[float | None] = [None] * SECONDS
    series = msgspec.structs.replace(
        empty.series,
        p50=nothing,
        p95=nothing,
        p99=nothing,
        fleet_p95=nothing,
        stride=nothing,
        published=[0] * SECONDS,
        detected=[0] * SECONDS,
        filled={},
        lost={},
    )
    truth = Truth(published=0, matched=0, age=SOME, fleet_age=SOME, difference=SOME)
    assert "FAILED" in page(msgspec.structs.replace(empty, series=series, truth=truth, processes=[]))


def test_report_written_and_read_is_the_same(tmp_path: Path):
    write_report(canned(), tmp_path / "report.json")
    assert read_report(tmp_path) == read_report(tmp_path / "report.json") == canned()


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), (b"{}", "is no report of this version"), (b"\xff", "is no report of this version")],
    ids=["none", "another", "rubbish"],
)
def test_report_that_is_none_says_so(tmp_path: Path, content: bytes | None, words: str):
    if content is not None:
        (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(BurstError, match=words):
        read_report(tmp_path)


def test_report_into_a_folder_that_is_gone_says_so(tmp_path: Path):
    with pytest.raises(BurstError, match="cannot be written"):
        write_report(canned(), tmp_path / "absent" / "report.json")
    with pytest.raises(BurstError, match="cannot be written"):
        write_page(canned(), tmp_path / "absent" / "report.html")


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def printed(renderable: object) -> str:
    console = Console(width=100, file=io.StringIO())
    console.print(renderable)
    return written(console)


def test_comparison_shows_phases_of_both_with_their_ratio():
    first, second = canned(), canned()
    slower = msgspec.structs.replace(figures("all"), age=AgePercentiles(p50=20.0, p95=90.0, p99=None))
    phases = [
        msgspec.structs.replace(second.phases[0], fleet=slower),
        msgspec.structs.replace(second.phases[1], name="another"),
    ]
    text = printed(comparison(first, msgspec.structs.replace(second, phases=phases)))
    assert re.search(r"p95 ms\s+60.0\s+90.0\s+1.50", text)
    assert re.search(r"p99 ms\s+90.0\s+–\s+–", text)
    assert "not in B" in text
    assert re.search(r"another\s+not in A", text)


@pytest.mark.parametrize(("first", "second", "expected"), [(2.0, 3.0, 1.5), (0.0, 3.0, None), (None, 1.0, None)])
def test_ratio_of_nothing_is_none(first: float | None, second: float | None, expected: float | None):
    assert ratio(first, second) == expected


def test_verdict_prints_which_failed_and_by_how_much():
    console = Console(width=100, file=io.StringIO())
    print_verdict(canned(), console)
    text = written(console)
    assert "failed bad: max_recovery_s: never, expected ≤ 2 s; <never> came back" in text
    assert "1 of 4 checks" in text


def test_processes_are_grouped_and_count_only_while_they_are_there():
    at_s, groups = grouped(canned().processes, 5.0, "cores")
    assert list(at_s) == [0, 1, 2, 3, 4, 5]
    assert list(groups) == ["worker", "cameras"]
    assert groups["cameras"].round(3).tolist() == [
        0.1,
        pytest.approx(0.2),
        pytest.approx(0.3),
        pytest.approx(0.3),
        0,
        0,
    ]


def test_page_tells_several_faults_of_a_phase_in_one_row():
    report = canned()
    marks = [
        *report.faults,
        FaultMark(name="stop_camera", camera="cam1", start_s=9.5, end_s=11.0, error="cam1 is gone"),
    ]
    html = page(msgspec.structs.replace(report, faults=marks))
    assert html.count("cam1 is gone") == 1


def slower_than_canned() -> BurstReport:
    """The canned report with a first phase whose p95 is half as long again, and without the others."""
    report = canned()
    slower = msgspec.structs.replace(report.phases[0].fleet, age=AgePercentiles(p50=20.0, p95=90.0, p99=None))
    return msgspec.structs.replace(report, phases=[msgspec.structs.replace(report.phases[0], fleet=slower)])


@pytest.mark.parametrize(
    ("name", "first", "second", "expected"),
    [
        ("p95 ms", 60.0, 90.0, 50.0),
        ("p95 ms", 60.0, 30.0, -50.0),
        ("detected /s", 60.0, 30.0, 50.0),
        ("lost", 0.0, 3.0, math.inf),
        ("lost", 0.0, 0.0, 0.0),
        ("detected /s", 0.0, 3.0, 0.0),
        ("p99 ms", 60.0, None, None),
    ],
)
def test_worse_by_knows_of_what_more_is_better(name: str, first: float, second: float | None, expected: float | None):
    (figure,) = [one for one in FIGURES if one.name == name]
    assert worse_by(figure, first, second) == expected


def test_comparison_complains_beyond_its_threshold_alone():
    first, second = canned(), slower_than_canned()
    assert complaints(first, first, 0) == []
    told = complaints(first, second, 20)
    assert [one for one in told if "p95 ms 60.0 → 90.0, 50 % worse" in one]
    assert f"{first.phases[1].name}: not in the second report" in told
    assert not [one for one in complaints(first, second, 60) if "p95" in one]


def test_compare_command_gives_json_and_its_verdict(tmp_path: Path):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    write_report(canned(), first)
    write_report(slower_than_canned(), second)
    command = [sys.executable, "-m", "pipeline", "burst", "compare"]

    def compare(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *map(str, arguments)], capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )

    same, worse = compare(first, first, "--worse-by", "5"), compare(first, second, "--worse-by", "20", "--json")
    assert (same.returncode, same.stderr) == (0, "")
    assert worse.returncode == 1
    told = json.loads(worse.stdout)
    figures = told["phases"][canned().phases[0].name]["figures"]["p95 ms"]
    assert figures == {"first": 60.0, "second": 90.0, "ratio": 1.5, "worse_percent": 50.0}
    assert told["only_first"] == [phase.name for phase in canned().phases[1:]]
    assert worse.stderr.splitlines() == [f"camfleet: {one}" for one in told["worse"]]
