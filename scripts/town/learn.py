"""Trains a YOLO26 from scratch with Ultralytics on rendered pictures, without any network."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from town.look import KINDS

AUGMENTATION = {
    "mosaic": 0.0, "scale": 0.3, "translate": 0.08, "fliplr": 0.5, "hsv_h": 0.015, "hsv_s": 0.5, "hsv_v": 0.35,
    "erasing": 0.0,
}  # fmt: skip
"""Mild: the renderer varies the scenes. Without mosaic every picture keeps the shape the model is exported for."""

CLOSING = {"scale": 0.12, "translate": 0.04, "hsv_s": 0.35, "hsv_v": 0.25, "warmup_epochs": 0, "val": False}
"""Milder still, so that sizes become what they are where the model is used, and no time spent on measuring."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One round of training: the longer side of its pictures, its length, its learning rate, the share left of it.

    parts are the folders of pictures it learns from. A closing lesson prepares the raw export: it drops the branch that
    gives each object once, varies the pictures less, and follows the clock in lowering its rate.
    """

    name: str
    image_px: int
    hours: float
    learning_rate: float
    last_share: float
    batch: int
    parts: tuple[str, ...] = ("train",)
    closing: bool = False


def quiet_ultralytics(work: Path) -> None:
    """Keep Ultralytics from fetching, installing or reporting anything, with its settings inside the work folder."""
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_OFFLINE"] = "true"
    (work / "config").mkdir(parents=True, exist_ok=True)
    os.environ["YOLO_CONFIG_DIR"] = str(work / "config")
    settings: Any = import_module("ultralytics.utils").SETTINGS
    settings.update({"sync": False, "openvino_msg": False})
    _bfloat16_where_it_is_fast()
    pictures: Any = import_module("ultralytics.data.utils")
    pictures.check_font = lambda *_: None  # it would fetch a font for plots that are never drawn


def _bfloat16_where_it_is_fast() -> None:
    """Train in bfloat16 on processors that multiply it in hardware; Ultralytics offers this for CUDA only.

    With AVX-512's instructions a step of YOLO26n took 0.9 instead of 1.4 s of one core.
    """
    import torch

    trainer: Any = import_module("ultralytics.engine.trainer")
    if torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported():
        trainer.autocast = lambda *_, **__: torch.autocast("cpu", torch.bfloat16)


def _lay_out_channels_last(trainer: Any) -> None:
    """Store weights the way the processor's bfloat16 convolutions read them: measured 2 to 3 times faster."""
    import torch

    trainer.model.to(memory_format=torch.channels_last)


def _follow_the_clock(lesson: Lesson) -> Callable[[Any], None]:
    """A callback that sets the learning rate: rising for 60 batches, then falling by a cosine until time is up.

    Ultralytics lowers it by epochs, too coarse for a lesson of three.
    """
    batches = count()

    def set_rate(trainer: Any) -> None:
        spent = min((time.time() - trainer.train_time_start) / (lesson.hours * 3600), 1.0)
        share = lesson.last_share + (1 - lesson.last_share) * (1 + math.cos(math.pi * spent)) / 2
        share *= min((next(batches) + 1) / 60, 1.0)
        for group in trainer.optimizer.param_groups:
            group["lr"] = lesson.learning_rate * share

    return set_rate


def describe_data(work: Path, parts: tuple[str, ...] = ("train",)) -> Path:
    """Write the data set's YAML for Ultralytics; returns its path."""
    path = work / "town.yaml"
    folders = [f"{part}/images" for part in parts]
    names = dict(enumerate(KINDS))
    path.write_text(yaml.safe_dump({"path": str(work), "train": folders, "val": "val/images", "names": names}))
    return path


def describe_model(work: Path, depth: float, width: float) -> Path:
    """Write YOLO26's own YAML with this project's classes and scale; returns its path."""
    tasks: Any = import_module("ultralytics.nn.tasks")
    plan = {k: v for k, v in tasks.yaml_model_load("yolo26n.yaml").items() if k not in ("scale", "yaml_file")}
    plan["nc"] = len(KINDS)
    plan["scales"] = {"n": [depth, width, 1024]}
    path = work / "yolo26n-town.yaml"
    path.write_text(yaml.safe_dump(plan, sort_keys=False))
    return path


def study(
    work: Path, start: Path, lesson: Lesson, seed: int, *, teacher: Path | None = None, pruned: bool = False
) -> Path:
    """Train from a model YAML or a checkpoint for one lesson; returns its last checkpoint (averaged weights).

    With a teacher's checkpoint, the network learns its features besides the labels (Ultralytics' own distillation).
    A pruned network is trained as it is; any other is built anew from its YAML, which knows of no pruning.
    """
    from ultralytics.models.yolo.model import YOLO

    settings: dict[str, Any] = {
        **AUGMENTATION, "data": str(describe_data(work, lesson.parts)), "project": str(work / "runs"),
        "name": lesson.name, "exist_ok": True, "imgsz": lesson.image_px, "rect": True, "batch": lesson.batch,
        "nbs": lesson.batch, "time": lesson.hours, "optimizer": "AdamW", "lr0": lesson.learning_rate,
        "lrf": lesson.last_share, "cos_lr": True,
        "weight_decay": 0.0005, "warmup_epochs": 0.6, "warmup_bias_lr": lesson.learning_rate, "warmup_momentum": 0.9,
        "momentum": 0.9, "cache": "ram", "workers": 0, "device": "cpu", "amp": False, "seed": seed, "epochs": 40,
        "pretrained": start.suffix == ".pt", "deterministic": False, "plots": False, "val": True, "save_period": 1,
        "patience": 0,
    }  # fmt: skip
    model: Any = YOLO(str(start), task="detect")
    model.add_callback("on_train_start", _lay_out_channels_last)
    if teacher is not None:
        settings["distill_model"] = str(teacher)
    if lesson.closing:
        settings |= CLOSING
        model.model.yaml["end2end"] = False
        model.add_callback("on_train_batch_start", _follow_the_clock(lesson))
    model.train(trainer=_trainer_of_pruned() if pruned else None, **settings)
    return work / "runs" / lesson.name / "weights" / "last.pt"


def _trainer_of_pruned() -> Any:
    """Ultralytics' trainer, which trains the network that it is given instead of one built from its YAML."""
    trainer: Any = import_module("ultralytics.models.yolo.detect").DetectionTrainer

    class TrainerOfPruned(trainer):  # type: ignore[misc]
        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
            return super().get_model(cfg, weights, verbose) if weights is None else weights

    return TrainerOfPruned
