"""One connection to a Triton Inference Server over gRPC; all that camfleet asks of tritonclient is here.

What a server answers comes out as one of three: an answer, `DetectorAway` (it cannot be reached, is too slow, or has no
such model at present: ask again later, or another server), or `RequestRefused` (it says that the request is wrong, as a
server does that was started again and knows the shared memory of before no more).
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.config.triton import target
from pipeline.detect.protocol import DetectorAway
from pipeline.errors import DetectorError
from pipeline.extras import require

if TYPE_CHECKING:
    from pipeline.config.triton import Triton

MemoryKind = Literal["system", "cuda"]
"""Shared memory, in Triton's words."""
LARGEST_MESSAGE = 2**31 - 1
CALL_S = 1.0
"""How long a server may take for what is not a detection: to be connected to, to describe a model, to open memory."""
_REFUSED = frozenset({"INVALID_ARGUMENT", "NOT_FOUND", "OUT_OF_RANGE", "UNIMPLEMENTED"})
"""What a server says of a request that it would not take a second time, in gRPC's words."""
_NO_ANSWER = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "None"})
"""What gRPC says where no server has said anything; tritonclient itself gives no status."""


class RequestRefused(DetectorError):
    """A server that answers well says that this request is wrong."""


class NoModel(DetectorAway):
    """A server that answers well has no such model, or cannot load it."""


def require_library() -> None:
    """Nothing where tritonclient is installed.

    Raises:
        DetectorError: It is not; says what brings it.
    """
    require("triton", "model.backend: triton", error=DetectorError)


@dataclass(frozen=True, slots=True)
class Named:
    """A model as a server knows it; version "" is its newest."""

    name: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name!r}" + (f" version {self.version}" if self.version else "")


class Connection:
    """A connection of its own, made at the first call; every call blocks until its moment at most, with the GIL free.

    Moments (`until_s`) are of `time.monotonic`: however many calls something takes, they share one.
    """

    def __init__(self, url: str, settings: Triton) -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: grpc://HOST:PORT, or grpcs:// with TLS.
            settings: Say how the server's certificate is checked, and what is shown to it.

        Raises:
            DetectorError: A file of certificates cannot be read.
        """
        # Read once, when the library is imported: it writes to stderr what it also returns as errors.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        from tritonclient.grpc import InferenceServerClient

        self.url = url
        self._client = InferenceServerClient(
            target(url),
            ssl=url.startswith("grpcs://"),
            root_certificates=_certificates(settings.ca_file),
            certificate_chain=_certificates(settings.cert_file),
            private_key=_certificates(settings.key_file),
            channel_args=[
                ("grpc.max_send_message_length", LARGEST_MESSAGE),
                ("grpc.max_receive_message_length", LARGEST_MESSAGE),
                # Another channel to the same server would share the very connection that has just proved dead.
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.enable_retries", 0),
                # Pictures go to the server that the fleet file names, and through nobody else.
                ("grpc.enable_http_proxy", 0),
            ],
        )

    def require_model(self, model: Named, until_s: float) -> None:
        """Nothing once the server can serve the model.

        Raises:
            NoModel: It has none of that name and version, or could not load it; says which it has.
            DetectorAway: It does not answer, or is still loading.
        """
        # Of a model that they do not know, servers say so, or that it is not ready.
        with contextlib.suppress(RequestRefused):
            if self.call(self._client.is_model_ready, model.name, model.version, until_s=until_s):
                return
        entries = self.call(self._client.get_model_repository_index, until_s=until_s).models
        mine = [entry for entry in entries if entry.name == model.name and model.version in ("", entry.version)]
        if not mine:
            others = ", ".join(sorted({entry.name for entry in entries})) or "none at all"
            raise NoModel(f"{self.url} has no model {model}; it has {others}")
        failed = [entry for entry in mine if entry.state == "UNAVAILABLE" and entry.reason]
        if len(failed) == len(mine) and failed[0].reason != "unloaded":
            raise NoModel(f"{self.url} could not load the model {model}: {failed[0].reason}")
        raise DetectorAway(f"{self.url} is not ready to serve the model {model}")

    def describe(self, model: Named, until_s: float) -> tuple[Any, Any]:
        """The server's `ModelMetadataResponse` and `ModelConfig` of a model that is ready.

        Raises:
            DetectorAway: It does not answer, or the model has gone.
        """
        asked = (model.name, model.version)
        metadata = self.call(self._client.get_model_metadata, *asked, until_s=until_s)
        config = self.call(self._client.get_model_config, *asked, until_s=until_s).config
        return metadata, config

    def version(self, until_s: float) -> tuple[int, ...]:
        """The server's, such as (2, 59); (0,) where it does not say so.

        Raises:
            DetectorAway: It does not answer.
        """
        told = self.call(self._client.get_server_metadata, until_s=until_s).version
        return tuple(map(int, re.findall(r"\d+", told)[:2])) or (0,)

    def register(self, kind: MemoryKind, name: str, *where: Any, until_s: float) -> None:
        """Nothing once the server has opened memory; `where` is what tritonclient asks of this kind.

        Raises:
            DetectorAway: No answer in time.
            RequestRefused: The server says that it cannot.
        """
        self._of_memory(getattr(self._client, f"register_{kind}_shared_memory"), name, *where, until_s=until_s)

    def unregister(self, kind: MemoryKind, name: str, until_s: float) -> None:
        """Nothing once the server has closed memory, or has none of that name.

        Raises:
            DetectorAway: No answer in time.
            RequestRefused: The server says that a request still uses it.
        """
        self._of_memory(getattr(self._client, f"unregister_{kind}_shared_memory"), name, until_s=until_s)

    def registered(self, kind: MemoryKind, until_s: float) -> set[str]:
        """What the memory is called that the server has open, that of others, too.

        Raises:
            DetectorAway: It does not answer.
            RequestRefused: It has no such kind of memory.
        """
        return set(self.call(getattr(self._client, f"get_{kind}_shared_memory_status"), until_s=until_s).regions)

    def infer(self, model: Named, inputs: list[Any], outputs: list[Any], until_s: float) -> Any:
        """The server's `InferResult`; it is told what is left, too, and drops the request if that passes in its queue.

        Raises:
            DetectorAway: No answer in time, or that it cannot serve at present.
            RequestRefused: It says that the request is wrong.
        """
        left_s = self._left_s(until_s)
        return self._answer(
            _REFUSED.__contains__,
            self._client.infer,
            model.name,
            inputs,
            model.version,
            outputs,
            timeout=max(1, round(left_s * 1e6)),
            client_timeout=left_s,
        )

    def call(self, ask: Callable[..., Any], *arguments: Any, until_s: float) -> Any:
        """What a method of the client answers, its errors as ours; takes `CALL_S` at most.

        Raises:
            DetectorAway: No answer in time, or that the server cannot serve at present.
            RequestRefused: The server says that the request is wrong.
        """
        left_s = min(CALL_S, self._left_s(until_s))
        return self._answer(_REFUSED.__contains__, ask, *arguments, client_timeout=left_s)

    def _of_memory(self, ask: Callable[..., Any], *arguments: Any, until_s: float) -> None:
        """Triton says by `INTERNAL` that it cannot, as of its own mishaps."""
        left_s = min(CALL_S, self._left_s(until_s))
        self._answer(lambda status: status not in _NO_ANSWER, ask, *arguments, client_timeout=left_s)

    def _left_s(self, until_s: float) -> float:
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise DetectorAway(f"{self.url}: no answer in time")
        return left_s

    def _answer(self, is_refusal: Callable[[str], bool], ask: Callable[..., Any], *arguments: Any, **told: Any) -> Any:
        from tritonclient.utils import InferenceServerException

        try:
            return ask(*arguments, **told)
        except InferenceServerException as error:
            if is_refusal(_status(error)):
                raise RequestRefused(error.message()) from error
            raise DetectorAway(f"{self.url}: {_reason(error)}") from error
        except ValueError as error:  # by gRPC, of a connection that another thread has closed
            raise DetectorAway(f"{self.url}: {error}") from error

    def close(self) -> None:
        """End the connection, and every call on it; a second time does nothing."""
        self._client.close()


def _certificates(file: str) -> str | None:
    """The path of a file that can be read; None for none."""
    if not file:
        return None
    try:
        with Path(file).open("rb"):
            return file
    except OSError as error:
        raise DetectorError(f"model.triton: {file} cannot be read: {error.strerror}") from error


def _status(error: Any) -> str:
    return str(error.status()).removeprefix("StatusCode.")


def _reason(error: Any) -> str:
    """What went wrong, in a line."""
    status = _status(error)
    if status == "DEADLINE_EXCEEDED":
        return "no answer in time"
    lines = (error.message() or "").strip().splitlines()
    if not lines:
        return status.lower().replace("_", " ")
    # gRPC tells every layer that it came through: “failed to connect to all addresses; last error: …: reason”.
    return lines[0].rpartition(": ")[2] if "last error" in lines[0] else lines[0]
