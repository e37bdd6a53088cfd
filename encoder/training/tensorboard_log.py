"""The curves of a run for TensorBoard, where it is installed."""

from collections.abc import Callable
from pathlib import Path

from .pretrain import Progress


def tensorboard_log(folder: Path) -> Callable[[Progress], None]:
    """What `pretrain` calls with each logged step: writes every value as a curve into `folder`.

    Raises ImportError saying what to install where TensorBoard is absent.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "TensorBoard is not installed: pip install tensorboard, or leave --tensorboard out"
        ) from error
    writer = SummaryWriter(str(folder))

    def write(progress: Progress) -> None:
        for name, value in progress.values.items():
            writer.add_scalar(name, value, progress.step)

    return write
