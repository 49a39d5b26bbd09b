"""What `camfleet check` finds of evidence before anything runs: who asks for it, and what its folder is like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.config import load_fleet
from pipeline.doctor.evidence import look_at_evidence
from pipeline.doctor.finding import Finding

ZONE = "zones: {drive: {when: enter}}"
HOOK = "sinks: {alarm: {kind: webhook, url: 'https://alarm.example/hook', snapshots: true}}"


def found(folder: Path, settings: str = "", camera: str = ZONE) -> list[Finding]:
    file = folder / "fleet.yaml"
    file.write_text(f"model: {{backend: stub}}\ncameras: {{gate: {{url: 'rtsp://cam/1', {camera}}}}}\n{settings}\n")
    return list(look_at_evidence(load_fleet(file, {}), folder))


def test_folder_that_can_be_written_is_told_with_its_room_and_not_made(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, "evidence: {folder: kept/here, keep: {free_gb: 0}}")
    assert finding.verdict == "ok"
    assert finding.words.startswith(f"evidence.folder: {tmp_path}/kept/here can be written, ")
    assert not (tmp_path / "kept").exists()


def test_folder_below_a_file_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("")
    (finding,) = found(tmp_path, "evidence: {folder: kept/here}")
    assert finding.verdict == "failure" and f"{tmp_path}/kept is a file" in finding.found


def test_folder_that_cannot_be_written_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (finding,) = found(tmp_path, "evidence: {}")
    assert finding.verdict == "failure" and f"{tmp_path} cannot be written" in finding.found


def test_disk_with_less_room_than_is_to_stay_free_is_told(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, "evidence: {keep: {free_gb: 999999}}")
    assert finding.verdict == "warning" and "less than keep.free_gb (999,999 GB): no clip is written" in finding.found


def test_evidence_that_no_rule_asks_for_is_told(tmp_path: Path) -> None:
    asks_not = "zones: {lobby: {when: enter, evidence: false}}"
    for camera in ("stride: 2", asks_not):
        (finding,) = found(tmp_path, "evidence: {}", camera)
        assert finding.verdict == "warning" and "no zone or line asks for it" in finding.found


def test_sink_that_is_to_send_pictures_which_nobody_takes_is_told(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, HOOK)
    assert finding.verdict == "warning" and finding.about == "sinks.alarm.snapshots"
    assert found(tmp_path) == []
