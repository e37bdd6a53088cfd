"""A seed and areas enter; a STAC catalog of a simulated landscape leaves, in the form of real input."""

from .area import DEFAULT_AREAS, HILLS, PLAIN, Area, Character
from .catalog import simulate

__all__ = ["DEFAULT_AREAS", "HILLS", "PLAIN", "Area", "Character", "simulate"]
