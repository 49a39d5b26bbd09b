"""Recovers a trainable network from an exported OpenVINO model, whose checkpoint nobody has kept.

An export has each normalisation folded into the convolution before it, and its weights as 8-bit integers with a scale
for each channel. Here the integers are scaled back and given to a network of Ultralytics' own modules, and each
normalisation is made to undo, in evaluation, just what it does: its mean and deviation are those that its convolution
has on pictures, its gain and shift their inverse. So the network computes what the export does, but for the rounding of
activations, and in training its normalisations start from where they would be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from town.ground import Picture
from town.measure import letterboxed

PREFIX = "__module."
"""What the names of an exported network's operations begin with; its module's path and a slash follow."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A convolution as exported: weights float32 (out, in / groups, height, width) and biases (out,)."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


def recover(xml: Path, plan: Path, pictures: Iterable[Picture]) -> Any:
    """Ultralytics' network of a plan (YAML) that computes what an exported model does, in evaluation.

    Its normalisations' statistics are those of the pictures (BGR). It has the one branch of the head that was exported.

    Raises:
        ValueError: If the export is not of this plan.
    """
    network: Any = import_module("ultralytics.nn.tasks").DetectionModel(str(plan), verbose=False)
    network.model[-1].one2one_cv2 = network.model[-1].one2one_cv3 = None
    network.end2end = network.yaml["end2end"] = False
    put(network, dict(folded(xml)))
    settle(network, pictures)
    return network


def folded(xml: Path) -> Iterator[tuple[str, Folded]]:
    """Every convolution of an exported model by its module's path."""
    import openvino

    for op in openvino.Core().read_model(xml).get_ordered_ops():
        if op.get_type_name() in {"Convolution", "GroupConvolution"}:
            path = op.get_friendly_name().partition("/")[0].removeprefix(PREFIX)
            weight = _constant(op.input_value(1))
            if op.get_type_name() == "GroupConvolution":
                weight = weight.reshape(-1, *weight.shape[2:])
            (add,) = (place.get_node() for place in op.output(0).get_target_inputs())
            yield path, Folded(weight, _constant(add.input_value(1)).reshape(-1))


def _constant(output: Any) -> NDArray[np.float32]:
    """The value of constants that are converted and scaled, as NNCF stores weights."""
    op = output.get_node()
    kind = op.get_type_name()
    if kind == "Constant":
        return np.asarray(op.data, np.float32)
    parts = [_constant(value) for value in op.input_values()]
    if kind == "Convert":
        return parts[0]
    if kind == "Multiply":
        return parts[0] * parts[1]
    raise ValueError(f"{op.get_friendly_name()}: a weight by {kind} is not understood")


def put(network: Any, weights: dict[str, Folded]) -> None:
    """Give every convolution its exported weights and its normalisation their biases, which then does nothing else.

    Raises:
        ValueError: If the network has other convolutions than the export.
    """
    import torch

    places = {path: module for path, module in network.named_modules() if isinstance(module, torch.nn.Conv2d)}
    expected = {path: tuple(module.weight.shape) for path, module in places.items()}
    exported = {path: given.weight.shape for path, given in weights.items()}
    if wrong := sorted({path for path, _ in expected.items() ^ exported.items()}):
        raise ValueError(f"the export is of another network: {len(wrong)} convolutions differ, the first is {wrong[0]}")
    with torch.no_grad():
        for path, module in places.items():
            module.weight.copy_(torch.from_numpy(weights[path].weight))
            bias = torch.from_numpy(weights[path].bias.copy())
            norm = _norm(network, path)
            if norm is None:
                module.bias.copy_(bias)
            else:
                norm.running_mean.zero_()
                norm.running_var.fill_(1 - norm.eps)
                norm.weight.fill_(1)
                norm.bias.copy_(bias)


def settle(network: Any, pictures: Iterable[Picture]) -> None:
    """Give every normalisation the statistics that its convolution has on pictures, and the same outcome as before."""
    import torch

    sums: dict[str, Any] = {}
    hooks = [
        module.register_forward_hook(partial(_add_up, sums, path))
        for path, module in network.named_modules()
        if isinstance(module, torch.nn.Conv2d) and _norm(network, path) is not None
    ]
    network.eval()
    with torch.no_grad():
        for picture in pictures:
            network(torch.from_numpy(letterboxed(picture)))
        for hook in hooks:
            hook.remove()
        for path, total in sums.items():
            norm, (count, first, second) = _norm(network, path), total
            mean = first / count
            norm.running_mean.copy_(mean)
            norm.running_var.copy_((second / count - mean**2).clamp(min=0))
            norm.weight.copy_((norm.running_var + norm.eps).sqrt())
            norm.bias.add_(norm.running_mean)


def _add_up(sums: dict[str, Any], path: str, _module: Any, _inputs: Any, output: Any) -> None:
    """Add a convolution's output (batch, channels, height, width) to its count, sum and sum of squares."""
    values = output.double()
    count, first, second = sums.get(path, (0, 0, 0))
    sums[path] = (
        count + values[:, 0].numel(),
        first + values.sum(dim=(0, 2, 3)),
        second + values.square().sum(dim=(0, 2, 3)),
    )


def _norm(network: Any, path: str) -> Any:
    """The normalisation after the convolution of that path; None where it has none."""
    return getattr(network.get_submodule(path.rpartition(".")[0]), "bn", None) if path.endswith(".conv") else None


def save(network: Any, path: Path) -> Path:
    """Write a checkpoint that Ultralytics loads, the network's own modules in it; returns its path."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": network, "train_args": {}, "epoch": -1}, path)
    return path
