"""Batches through a Ray cluster: pieces are decoded by tasks, embedded by actors, and come back in order.

Ray runs a task again whose worker died. What dies each time is found here, so that it can be named.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

from data.access import UnreachableError
from data.cover import SampleTask
from data.reader import Unfinished, visits
from data.sample import InputError
from encoder.protocol import AnyEncoder

from ..batch import Made, Recipe
from .decode import read_piece, unread
from .encode import EncoderActor, Sent
from .shares import TRIES, Shares
from .workers import DIED

PIECE = 8  # samples of a decoding task, or one visit that has more
AHEAD_BYTES = 64 << 20  # of decoded samples that wait for each encoder, at most: as much as waits locally
LOOK_S = 10.0  # without an answer, until the nodes are counted again
LOAD_S = 600.0  # until an encoder is placed and has loaded its weights

Tasks = Sequence[SampleTask]


@dataclass(eq=False)
class _Batch:
    """A batch on its way."""

    tasks: Tasks
    pieces: list[tuple[Tasks, Any]]  # each with the reference of its `Piece`
    encoder: int = -1  # which of them has it
    made: Any = None  # the reference of its `Sent`
    deaths: int = 0  # of encoders that worked on it


@dataclass
class RayEngine:
    """An `Engine` whose encoders lie in actors.

    Args:
        make_encoder: called in each actor.
        digest: of the weights that it must find there.
        shares: how many actors, and what each takes of the cluster.
        room: how many the cluster has room for, asked when one died: its node may be gone.
    """

    make_encoder: Callable[[], AnyEncoder]
    digest: str
    shares: Shares
    room: Callable[[], int]
    _encoders: dict[int, Any] = field(init=False)
    _largest: int = field(init=False, default=0)  # bytes of a batch's samples, so far

    def __post_init__(self) -> None:
        loading = [self._begun() for _ in range(self.shares.encoders)]
        self._encoders = {i: self._loaded(*begun) for i, begun in enumerate(loading)}

    def __call__(self, batches: Sequence[Tasks], recipe: Recipe) -> Iterator[Made]:
        """See `Engine`.

        Raises:
            InputError: an encoder dies while it loads, or is another there.
        """
        self._decode = ray.remote(read_piece).options(num_cpus=1, max_retries=TRIES - 1)
        self._tables = len(recipe.rows)
        self._spec, self._recipe = ray.put(recipe.spec), ray.put(recipe)
        flight: deque[_Batch] = deque()
        coming = deque(batches)
        while coming or flight:
            while coming and self._has_room(len(flight)):
                flight.append(self._sent(coming.popleft(), flight))
            sent = self._result(flight)
            self._largest = max(self._largest, sent.read_bytes)
            flight.popleft()
            yield sent.received()

    def _has_room(self, in_flight: int) -> bool:
        """Whether one more batch may be read: so that no encoder has nothing to do, or as bytes allow."""
        ahead = in_flight - len(self._encoders)  # of those that are being embedded
        fits = (ahead + 1) * self._largest <= AHEAD_BYTES * len(self._encoders)
        return ahead <= 0 or (self._largest > 0 and fits)

    def _sent(self, tasks: Tasks, flight: Sequence[_Batch]) -> _Batch:
        """A batch on its way to the encoder that has the fewest."""
        batch = _Batch(tasks, [(piece, self._reading(piece)) for piece in _pieces(tasks)])
        self._send(batch, flight)
        return batch

    def _reading(self, tasks: Tasks) -> Any:
        return self._decode.remote(tasks, self._spec)

    def _send(self, batch: _Batch, flight: Sequence[_Batch]) -> None:
        if batch.encoder not in self._encoders:
            with_encoder = Counter(other.encoder for other in flight)
            batch.encoder = min(self._encoders, key=lambda i: with_encoder[i])
        read = [reference for _, reference in batch.pieces]
        batch.made = self._encoders[batch.encoder].embed.remote(self._recipe, *read)

    def _result(self, flight: Sequence[_Batch]) -> Sent:
        """What became of the first batch, whatever dies meanwhile."""
        first = flight[0]
        while True:
            try:
                sent: Sent = ray.get(first.made, timeout=LOOK_S)
                return sent
            except GetTimeoutError:
                self._make_room(flight)
            except DIED:
                self._read_again(first, flight)
            except RayActorError:
                self._encode_again(first, flight)
            except RayTaskError as error:
                raise error.cause from None

    def _make_room(self, flight: Sequence[_Batch]) -> None:
        """With fewer encoders, where a node is gone and they leave none to decode."""
        for _ in range(len(self._encoders) - self.room()):
            number, encoder = self._encoders.popitem()
            ray.kill(encoder)
            for batch in flight:
                if batch.encoder == number:
                    self._send(batch, flight)

    def _read_again(self, batch: _Batch, flight: Sequence[_Batch]) -> None:
        """Read what could not be read one by one; what dies alone is given up."""
        pieces: list[tuple[Tasks, Any]] = []
        for tasks, reference in batch.pieces:
            if not _died(reference):
                pieces.append((tasks, reference))
            elif len(tasks) > 1:
                pieces += [((task,), self._reading((task,))) for task in tasks]
            else:
                reason = f"each process that read it died, {TRIES} of them"
                pieces.append((tasks, ray.put(unread(tasks, reason))))
        batch.pieces = pieces
        self._send(batch, flight)

    def _encode_again(self, first: _Batch, flight: Sequence[_Batch]) -> None:
        """A new encoder in place of one that died: over its first batch, for it takes them in order.

        Where its node is gone and no other has room for it, the other encoders take what it had.
        """
        first.deaths += 1
        lost = [batch for batch in flight if batch.encoder == first.encoder]
        ray.kill(self._encoders.pop(first.encoder))
        if len(self._encoders) < self.room():
            self._encoders[first.encoder] = self._loaded(*self._begun())
        if first.deaths == TRIES:
            lost.remove(first)
            reason = (
                f"each encoder died, {TRIES} of them, over {len(first.tasks)} samples and this among them"
            )
            left = tuple(Unfinished(task.sample_id, reason) for task in first.tasks)
            first.made = ray.put(Sent(Made((), unfinished=left), (None,) * self._tables, 0))
        for batch in lost:
            self._send(batch, flight)

    def _begun(self) -> tuple[Any, Any]:
        """A new actor, and the reference of the digest that it finds."""
        actor = ray.remote(EncoderActor).options(
            num_cpus=self.shares.cpus, num_gpus=self.shares.gpus, scheduling_strategy="SPREAD"
        )
        encoder = actor.remote()
        return encoder, encoder.load.remote(self.make_encoder)

    def _loaded(self, encoder: Any, digest: Any) -> Any:
        for _ in range(TRIES):
            try:
                weights = ray.get(digest, timeout=LOAD_S)
            except RayActorError:
                encoder, digest = self._begun()
            except GetTimeoutError as error:
                raise UnreachableError(
                    f"no encoder could be placed and loaded within {LOAD_S:g} s: see `ray status`"
                ) from error
            except RayTaskError as error:
                raise error.cause from None
            else:
                if weights == self.digest:
                    return encoder
                raise InputError(
                    f"an encoder found weights {weights[:12]}, expected {self.digest[:12]}: "
                    "put the same files on every node"
                )
        raise InputError(
            f"{TRIES} encoders died while they loaded their weights, most likely for want of memory"
        )


def _pieces(tasks: Tasks) -> Iterator[Tasks]:
    """Whole visits together, as many as make a piece."""
    piece: list[SampleTask] = []
    for visit in visits(tasks):
        piece += visit
        if len(piece) >= PIECE:
            yield piece
            piece = []
    if piece:
        yield piece


def _died(reference: Any) -> bool:
    """Whether no process could make what is referred to."""
    try:
        ray.get(reference)
    except DIED:
        return True
    return False
