"""L_FGCL = L_pix + L_obj + L_img: fine-grained contrastive learning of one modality (paper, section 3.4)."""

from torch import Tensor

from .image import image_loss
from .object import object_loss
from .pixel import pixel_loss
from .view import View


def fine_grained_loss(student: View, teacher: View) -> Tensor:
    """The sum of the three levels. In a map of a single cell they are one, and it counts once."""
    if student.features.shape[2] == 1:
        return image_loss(student, teacher)
    return pixel_loss(student, teacher) + object_loss(student, teacher) + image_loss(student, teacher)
