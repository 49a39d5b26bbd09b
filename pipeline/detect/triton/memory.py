"""How pictures get to a Triton server: through memory that both see, or in the request.

A piece of /dev/shm has a name only until the server has opened it. From then on it lives as long as somebody has it
mapped, and nothing is left of it when the worker is killed; what the server still holds of a dead worker is given back
by whoever connects next. So a lane gets new memory with every connection, and whatever a server does late for a request
that was given up, it does to memory that nobody reads any more; when the server is to close that, `regions.py`
says.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import secrets
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.detect.triton.client import Connection, RequestRefused
from pipeline.detect.triton.model import OUTPUT_TYPES, Requests
from pipeline.detect.triton.regions import Region, Regions
from pipeline.errors import DetectorError

SHARED = Path("/dev/shm")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Another on each machine, and after each start of one."""
SMALL_BYTES = 65_536
"""Outputs up to this come in the answer; a list of 300 boxes has 7,200, the 84 × 8,400 values of others 2.8 million."""
_NO_GPU = "model.triton.memory: cuda needs cuda-python and a GPU"
_OURS = re.compile(r"camfleet-triton-(?P<space>[0-9a-f]{12}-\d+)-(?P<pid>\d+)-[0-9a-f]+")


class Carrier(Protocol):
    """Carries one lane's pictures to one server, and boxes back."""

    pictures: NDArray[Any]
    """(max batch, …): where pictures are written as the model takes them, before `send`."""

    def send(self, count: int) -> tuple[list[Any], list[Any]]:
        """Tritonclient's inputs and outputs for the first `count` pictures as they are now."""
        ...

    def output(self, result: Any) -> NDArray[Any]:
        """The boxes of an answer; valid until the next request."""
        ...

    def close(self, in_use: bool) -> None:
        """Let go of the memory, `in_use` if a request was given up; the server, too, if it answers and may."""
        ...


class InRequest:
    """Pictures and boxes in the messages themselves."""

    def __init__(self, requests: Requests) -> None:
        self.pictures = requests.new_pictures()
        self._name = requests.model.output.name
        self._inputs, self._outputs = _inputs(requests), [_output(requests)]

    def send(self, count: int) -> tuple[list[Any], list[Any]]:
        """Tritonclient's inputs, with a copy of the pictures, and outputs."""
        given = self._inputs[count - 1]
        given.set_data_from_numpy(self.pictures[:count])
        return [given], self._outputs

    def output(self, result: Any) -> NDArray[Any]:
        """The boxes of an answer."""
        values: NDArray[Any] = result.as_numpy(self._name)
        return values

    def close(self, in_use: bool) -> None:
        """Nothing is held."""


class SystemMemory:
    """Pictures, and boxes where they are many, in a piece of /dev/shm that the server has mapped, too."""

    def __init__(self, connection: Connection, requests: Requests, regions: Regions, until_s: float) -> None:
        """Make the memory and let the server open it.

        Raises:
            RequestRefused: The server cannot: it is on another machine, in another container, or another user's.
            DetectorAway: It does not answer.
            DetectorError: There is no room under /dev/shm.
        """
        self._connection, self._regions, self._output = connection, regions, requests.model.output
        picture = requests.picture_bytes()
        answer = requests.answer_bytes() if requests.answer_bytes() > SMALL_BYTES else 0
        answers_at = -(-picture * requests.most // mmap.PAGESIZE) * mmap.PAGESIZE
        self._region = Region(_new_name(), connection.url, "system")
        self._memory = self._shared(answers_at + answer * requests.most, until_s)
        bytes_of_all = np.frombuffer(self._memory, np.uint8)
        of_pictures = bytes_of_all[: picture * requests.most]
        self.pictures: NDArray[Any] = of_pictures.view(requests.new_pictures().dtype).reshape(
            requests.shape(requests.most)
        )
        self._answers = bytes_of_all[answers_at:]
        self._sent = [([given], [_output(requests)]) for given in _inputs(requests)]
        for count, ((given,), (wanted,)) in enumerate(self._sent, 1):
            given.set_shared_memory(self._region.name, picture * count)
            if answer:
                wanted.set_shared_memory(self._region.name, answer * count, answers_at)

    def send(self, count: int) -> tuple[list[Any], list[Any]]:
        """Tritonclient's inputs and outputs, which say where the pictures are."""
        return self._sent[count - 1]

    def output(self, result: Any) -> NDArray[Any]:
        """The boxes of an answer."""
        if not self._answers.size:
            values: NDArray[Any] = result.as_numpy(self._output.name)
            return values
        told = result.get_output(self._output.name)
        dtype = np.dtype(OUTPUT_TYPES[self._output.datatype])
        answers: NDArray[Any] = self._answers[: prod(told.shape) * dtype.itemsize].view(dtype)
        return answers.reshape(tuple(told.shape))

    def close(self, in_use: bool) -> None:
        """Let go of the memory; the server, too, if it answers and may."""
        self._regions.close(self._connection, self._region, in_use)

    def _shared(self, size: int, until_s: float) -> mmap.mmap:
        file = SHARED / self._region.name
        try:
            descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                # Not `truncate`: without room the first picture would end the process by a signal.
                os.posix_fallocate(descriptor, 0, size)
                memory = mmap.mmap(descriptor, size)
                self._regions.open(self._connection, self._region, f"/{file.name}", size, until_s=until_s)
                return memory
            finally:
                os.close(descriptor)
                file.unlink(missing_ok=True)
        except OSError as error:
            raise DetectorError(
                f"model.triton.memory: no {size >> 10} KiB of shared memory under {SHARED}: {error.strerror}; make it "
                "larger (docker run --shm-size=1g), or say memory: none"
            ) from error


class CudaMemory:
    """Pictures in a GPU's memory that the server has opened, too; boxes come in the answer. Never ran: no GPU here."""

    def __init__(self, connection: Connection, requests: Requests, regions: Regions, until_s: float) -> None:
        """Take the memory and let the server open it.

        Raises:
            RequestRefused: The server cannot: it has another GPU, or is on another machine.
            DetectorAway: It does not answer.
            DetectorError: There is no GPU, or tritonclient lacks what it needs for one.
        """
        self.pictures = requests.new_pictures()
        self._connection, self._regions, self._output_name = connection, regions, requests.model.output.name
        name, size = _new_name(), self.pictures.nbytes
        cuda, handle = _on_gpu(name, size)
        self._cuda, self._handle = cuda, handle
        self._region = Region(name, connection.url, "cuda", lambda: cuda.destroy_shared_memory_region(handle))
        regions.open(connection, self._region, cuda.get_raw_handle(handle), 0, size, until_s=until_s)
        self._inputs, self._outputs = _inputs(requests), [_output(requests)]
        for count, given in enumerate(self._inputs, 1):
            given.set_shared_memory(name, requests.picture_bytes() * count)

    def send(self, count: int) -> tuple[list[Any], list[Any]]:
        """Tritonclient's inputs and outputs, once the pictures are copied to the GPU."""
        self._cuda.set_shared_memory_region(self._handle, [self.pictures[:count]])
        return [self._inputs[count - 1]], self._outputs

    def output(self, result: Any) -> NDArray[Any]:
        """The boxes of an answer."""
        values: NDArray[Any] = result.as_numpy(self._output_name)
        return values

    def close(self, in_use: bool) -> None:
        """Let the server close the memory, if it answers and may; the GPU has it back when it has."""
        self._regions.close(self._connection, self._region, in_use)


def forget_dead(connection: Connection, until_s: float) -> None:
    """Let the server give back the memory of workers of this machine that were killed; their names here go, too.

    A process id means the same only within its pid namespace, and the namespace's number only on one machine
    until that is started again; so both are part of the name.

    Raises:
        DetectorAway: The server does not answer.
    """
    for name in filter(_is_of_the_dead, connection.registered("system", until_s)):
        with contextlib.suppress(RequestRefused):
            connection.unregister("system", name, until_s)
    for file in SHARED.glob("camfleet-triton-*"):
        if _is_of_the_dead(file.name):
            file.unlink(missing_ok=True)


def _is_of_the_dead(name: str) -> bool:
    found = _OURS.fullmatch(name)
    if found is None or found["space"] != _pid_space():
        return False
    return not Path(f"/proc/{found['pid']}").exists()


def _new_name() -> str:
    return f"camfleet-triton-{_pid_space()}-{os.getpid()}-{secrets.token_hex(6)}"


def _pid_space() -> str:
    """What tells this pid namespace from others, also of other machines: a server may be reached through a tunnel."""
    boot = BOOT_ID.read_text(encoding="ascii").replace("-", "")[:12]
    return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"


def _inputs(requests: Requests) -> list[Any]:
    """Tritonclient's inputs for 1, 2, 3 … pictures."""
    from tritonclient.grpc import InferInput

    taken = requests.model.input
    counts = range(1, requests.most + 1)
    return [InferInput(taken.name, list(requests.shape(count)), taken.datatype) for count in counts]


def _output(requests: Requests) -> Any:
    from tritonclient.grpc import InferRequestedOutput

    return InferRequestedOutput(requests.model.output.name)


def _on_gpu(name: str, size: int) -> tuple[Any, Any]:
    """Tritonclient's module for it, and memory on the first GPU."""
    try:
        import tritonclient.utils.cuda_shared_memory as cuda
    except (ImportError, OSError) as error:
        raise DetectorError(f"{_NO_GPU} ({error}): pip install cuda-python, or say memory: none") from error
    try:
        return cuda, cuda.create_shared_memory_region(name, size, 0)
    except cuda.CudaSharedMemoryException as error:
        raise DetectorError(f"{_NO_GPU} ({error}): say memory: none") from error
