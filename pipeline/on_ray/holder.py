"""Shards held open by Ray's actors: a few large ones, for a call costs more than to a process."""

from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from indexer.index.crew import EndedError, answered


class ShardActor:
    def answer(self, request: Any) -> Any:
        return answered(request)


class RayHolder:
    """A `Holder` somewhere in a cluster, with some of its CPUs, and as many threads."""

    def __init__(self, cpus: int) -> None:
        actor = ray.remote(ShardActor).options(num_cpus=cpus, scheduling_strategy="SPREAD")
        self._actor = actor.remote()

    def ask(self, request: Any, /) -> Any:
        """See `Holder`."""
        try:
            return ray.get(self._actor.answer.remote(request))
        except RayActorError as error:
            raise EndedError from error
        except RayTaskError as error:
            raise error.cause from None

    def end(self) -> None:
        """See `Holder`."""
        ray.kill(self._actor)
