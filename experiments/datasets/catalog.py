"""The sets that `skyhex eval task` reads, by name."""

from data.sample import InputError

from .about import About
from .big_earth_net import BEN_MM, BEN_S2
from .change_pairs import LEVIR_CD, OSCD_SET
from .dynamic_earth_net import DYNA_MM, DYNA_PLA, DYNA_S2, DYNA_S2_CD
from .fair1m import FAIR1M
from .fmow_sentinel import FMOW_S2
from .isaid import ISAID
from .pastis import PASTIS_MM
from .potsdam import POTSDAM
from .scene_folders import AID, RESISC45
from .voc_boxes import DIOR, DIOR_R

PUBLISHED: tuple[About, ...] = (
    AID, RESISC45, BEN_S2, FMOW_S2,  # scene classification
    ISAID, POTSDAM, DYNA_PLA, DYNA_S2,  # semantic segmentation
    DIOR, DIOR_R, FAIR1M,  # object detection
    LEVIR_CD, OSCD_SET, DYNA_S2_CD,  # change detection
    DYNA_MM,  # multi-modal segmentation
    PASTIS_MM,  # crop segmentation
    BEN_MM,  # multi-modal classification
)  # fmt: skip
PLACES = "places"  # a STAC catalog with label rasters: labelled_places.py
SETS = {about.name: about for about in PUBLISHED}


def set_of(name: str) -> About:
    """The set of a name.

    Raises:
        InputError: there is none.
    """
    if name not in SETS:
        raise InputError(f"no set is called {name!r}; expected one of {', '.join([*SETS, PLACES])}.")
    return SETS[name]
