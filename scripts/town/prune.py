"""Takes whole channels out of a trained YOLO26 with torch-pruning, so that every convolution left is a dense one.

What goes together, a convolution's outputs, their normalisation and the inputs of all that read them, is told by
torch-pruning's dependency graph. It does not follow the halves that YOLO26's blocks split their first convolution into,
nor heads of attention, so channels that reach those stay: about a quarter of the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from town.ground import Picture
from town.measure import Truth, fit, letterboxed

CHANNELS_AT_ONCE = 8
"""A layer keeps a multiple of this, as processors compute."""
LEAST_CHANNELS = 8
EXAMPLE_HW = (96, 160)
"""Large enough to trace the network with."""


def prune(network: Any, pictures: Iterable[tuple[Picture, Truth]], share: float) -> Any:
    """The network without about that share of each layer's channels, those that matter least; changes it.

    How much a channel matters is how much the loss on labelled pictures would change without it, by its gradient
    (Taylor). Of the recovered demo model without 15 % of its channels, untrained, that leaves an mAP50 of 0.71 of 0.90,
    the deviations of its channels (its normalisations' gain) 0.65, and the size of its weights 0.58.
    """
    import torch_pruning

    graph = traced(network)
    slope(network, pictures)
    importance = torch_pruning.importance.GroupTaylorImportance()
    going = [(group[0].dep, least(importance(group), share)) for group in groups(network, graph)]
    for root, channels in going:
        if channels:
            graph.get_pruning_group(root.target.module, root.handler, idxs=channels).prune()
    network.zero_grad(set_to_none=True)
    return network


def traced(network: Any) -> Any:
    """torch-pruning's graph of which channels depend on each other; the network is put in evaluation for it."""
    import torch
    import torch_pruning

    network.float().eval().requires_grad_(True)
    graph = torch_pruning.DependencyGraph()
    return graph.build_dependency(network, torch.zeros(1, 3, *EXAMPLE_HW), output_transform=_outputs, verbose=False)


def slope(network: Any, pictures: Iterable[tuple[Picture, Truth]]) -> None:
    """Add the loss's gradient on labelled pictures to a network in evaluation, its normalisations as they stand."""
    network.args = import_module("ultralytics.cfg").get_cfg()
    for picture, truth in pictures:
        batch = labelled(picture, truth)
        network.loss(batch, network(batch["img"]))[0].sum().backward()
    network.criterion = None


def labelled(picture: Picture, truth: Truth) -> dict[str, Any]:
    """A picture and what it shows as a batch of one, as Ultralytics' loss takes it: boxes' middles and sizes, 0…1."""
    import torch

    image = torch.from_numpy(letterboxed(picture))
    tall, wide = image.shape[2:]
    (left, top), _, scale = fit(picture, tall, wide)
    corners = (truth.xyxy * scale + (left, top, left, top)) / (wide, tall, wide, tall)
    middles, sizes = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
    return {
        "img": image,
        "cls": torch.from_numpy(truth.class_id[:, None]).float(),
        "bboxes": torch.from_numpy(np.hstack([middles, sizes])).float(),
        "batch_idx": torch.zeros(len(corners)),
    }


def groups(network: Any, graph: Any) -> Iterator[Any]:
    """Each set of layers whose channels can only go together, whole, but for those that have to stay."""
    import torch
    import torch_pruning

    stays, seen = set(kept(network)), set()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d) and module.groups == 1 and module not in stays | seen:
            every = list(range(module.out_channels))
            group = graph.get_pruning_group(module, torch_pruning.prune_conv_out_channels, idxs=every)
            cut = {dep.target.module for dep, _ in group if graph.is_out_channel_pruning_fn(dep.handler)}
            seen |= cut
            if not cut & stays:
                yield group


def kept(network: Any) -> Iterator[Any]:
    """The convolutions whose outputs stay: those that are split, attend, or are the network's output."""
    import torch

    block: Any = import_module("ultralytics.nn.modules.block")
    head: Any = import_module("ultralytics.nn.modules.head")
    for module in network.modules():
        if isinstance(module, block.C2f | block.C2PSA):
            yield module.cv1.conv
        elif isinstance(module, block.PSABlock):
            yield from (part for part in module.attn.modules() if isinstance(part, torch.nn.Conv2d))
            yield module.ffn[1].conv
        elif isinstance(module, head.Detect):
            yield from (branch[-1] for branch in (*module.cv2, *module.cv3))


def least(importance: Any, share: float) -> list[int]:
    """The channels of the smallest importance, as many as leave a multiple of CHANNELS_AT_ONCE."""
    whole = len(importance)
    left = round(whole * (1 - share) / CHANNELS_AT_ONCE) * CHANNELS_AT_ONCE
    return sorted(importance.argsort()[: whole - max(left, LEAST_CHANNELS)].tolist())


def _outputs(output: Any) -> list[Any]:
    """What the dependency graph starts from: the head's boxes and scores before they are decoded."""
    return [output[1]["boxes"], output[1]["scores"]]


def load(checkpoint: Path) -> Any:
    """The network of a checkpoint."""
    return import_module("ultralytics.nn.tasks").load_checkpoint(checkpoint)[0]


def parameters(network: Any) -> int:
    """How many numbers a network has learnt."""
    return sum(part.numel() for part in network.parameters())
