"""Several options as one argument: a decorator adds them to a command, and makes one value of them."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

Shared = Mapping[str, tuple[Any, Any]]  # by name: the annotated type, and the default
Command = Callable[..., Any]


def made_of(
    argument: str, options: Shared, make: Callable[..., Any], before: str = ""
) -> Callable[[Command], Command]:
    """Give a command options in place of an argument, which `make` makes of their values.

    They stand before the command's own parameter `before`, or last, in its help and nowhere else.
    """

    def wrap(command: Command) -> Command:
        @functools.wraps(command)
        def run(**values: Any) -> Any:
            given = {name: values.pop(name) for name in options}
            return command(**{argument: make(**given)}, **values)

        own = [p for name, p in inspect.signature(command).parameters.items() if name != argument]
        place = next((i for i, p in enumerate(own) if p.name == before), len(own))
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=spelled)
            for name, (spelled, default) in options.items()
        ]
        parameters = [
            p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own[:place], *added, *own[place:])
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return wrap
