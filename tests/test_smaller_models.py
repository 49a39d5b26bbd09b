"""What makes the smaller sample models: the network recovered of the demo model, and channels taken out of it."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

from town.learn import describe_model
from town.measure import ExportedModel, letterboxed, recording
from town.prune import groups, least, parameters, prune, traced
from town.recover import recover

SAMPLES = Path(__file__).parent.parent / "samples"
DEMO = SAMPLES / "model" / "demo_openvino_model" / "demo.xml"
MOST_SCORE_APART, MOST_PX_APART = 0.2, 3.0
"""What the export's rounding to 8 bits makes of scores, and of boxes that are found; measured 0.12 and 1.4."""
FOUND = 0.3


@pytest.fixture(scope="module")
def torch() -> Any:
    pytest.importorskip("ultralytics", reason="needs ultralytics")
    return pytest.importorskip("torch", reason="needs torch")


@pytest.fixture(scope="module")
def shown() -> list[tuple[Any, Any]]:
    return list(islice(recording(SAMPLES / "gate.mp4", SAMPLES / "ground_truth" / "gate" / "gt" / "gt.txt", 100), 2))


@pytest.fixture
def network(torch: Any, tmp_path: Path, shown: list[tuple[Any, Any]]) -> Any:
    return recover(DEMO, describe_model(tmp_path, 0.5, 0.25), [picture for picture, _ in shown])


@pytest.mark.long
def test_recovered_network_computes_what_the_export_does(network: Any, shown: list[tuple[Any, Any]]):
    tensor = letterboxed(shown[0][0])
    expected, output = ExportedModel(DEMO).infer(tensor), _output(network, tensor)
    found = expected[4:].max(axis=0) > FOUND
    assert output.shape == expected.shape
    assert found.any()
    assert np.abs(output[4:] - expected[4:]).max() < MOST_SCORE_APART
    assert np.abs(output[:4] - expected[:4])[:, found].max() < MOST_PX_APART


@pytest.mark.parametrize(("depth", "width"), [(1.0, 0.25), (0.5, 0.5)], ids=["deeper", "wider"])
def test_recover_of_an_export_of_another_network_is_refused(torch: Any, tmp_path: Path, depth: float, width: float):
    with pytest.raises(ValueError, match="another network"):
        recover(DEMO, describe_model(tmp_path, depth, width), [])


@pytest.mark.long
def test_pruned_network_is_smaller_and_gives_the_same_shape(network: Any, shown: list[tuple[Any, Any]]):
    pytest.importorskip("torch_pruning", reason="needs torch-pruning: pip install 'camfleet[dev]'")
    tensor = letterboxed(shown[0][0])
    before, whole = _output(network, tensor), parameters(network)
    pruned = prune(network, shown, 0.25)
    assert parameters(pruned) < 0.75 * whole
    assert _output(pruned, tensor).shape == before.shape


@pytest.mark.long
def test_pruning_of_channels_that_do_nothing_changes_nothing(network: Any, shown: list[tuple[Any, Any]]):
    torch_pruning = pytest.importorskip("torch_pruning", reason="needs torch-pruning: pip install 'camfleet[dev]'")
    graph, whole, tensor = traced(network), parameters(network), letterboxed(shown[0][0])
    for group in list(groups(network, graph)):
        _silence(group, 3)
    before = _output(network, tensor)
    for group in list(groups(network, graph)):
        graph.get_pruning_group(group[0].dep.target.module, torch_pruning.prune_conv_out_channels, [0, 1, 2]).prune()
    assert parameters(network) < whole
    assert np.abs(_output(network, tensor) - before).max() < 0.01


def _silence(group: Any, channels: int) -> None:
    """Make the first channels of layers that go together always 0."""
    import torch

    with torch.no_grad():
        for dep, _ in group:
            if isinstance(dep.target.module, torch.nn.BatchNorm2d):
                dep.target.module.weight[:channels] = 0
                dep.target.module.bias[:channels] = 0


def _output(network: Any, tensor: Any) -> Any:
    import torch

    network.eval()
    with torch.no_grad():
        return network(torch.from_numpy(tensor))[0][0].numpy()


@pytest.mark.parametrize(("share", "left"), [(0.25, 24), (0.5, 16), (0.9, 8)])
def test_least_leaves_a_multiple_of_eight_channels_and_never_none(torch: Any, share: float, left: int):
    importance = torch.arange(32.0).flip(0)
    assert least(importance, share) == list(range(left, 32))
