"""Places looked for by words: offered where `skyhex app --weights` named an encoder that knows them.

The words of a link are data: which encoder reads them, the command line alone says.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from data.sample import InputError
from indexer.errors import QueryError
from indexer.table.embedding_table import EmbeddingTable
from pipeline.examples import text_side

from .cached import BY_SNAPSHOT
from .session import look_for

if TYPE_CHECKING:
    from encoder.protocol import TextSide

WORDS = "words:"  # before the words, where a view keeps what it looks for
WEIGHTS, FOLDER = "SKYHEX_WEIGHTS", "SKYHEX_WEIGHTS_FOLDER"  # set by search_app/cli/launch.py
MOST_LETTERS = 400
_KEY = "words"


def draw_words() -> None:
    """A box for words, if there is an encoder that reads them."""
    if not os.environ.get(WEIGHTS):
        return
    st.text_input(
        "Look for words",
        key=_KEY,
        placeholder="solar farm beside a river",
        icon=":material/text_fields:",
        max_chars=MOST_LETTERS,
        on_change=_take,
        help="The encoder that made this table's vectors also reads words.",
    )


def _take() -> None:
    if words := st.session_state[_KEY].strip():
        st.session_state[_KEY] = ""
        look_for(WORDS + words)


@st.cache_data(max_entries=64, show_spinner="Reading the words", hash_funcs=BY_SNAPSHOT)
def words_vector(table: EmbeddingTable, words: str) -> np.ndarray:
    """The vector (d,) of words.

    Raises:
        QueryError: no encoder of this table that knows words was named, or there are too many letters.
    """
    from encoder.checkpoint import CheckpointError

    weights = os.environ.get(WEIGHTS)
    if not weights:
        raise QueryError(f"{words!r} is words: start the app with --weights and this table's encoder")
    if not 0 < len(words) <= MOST_LETTERS:
        raise QueryError(f"{len(words)} letters came; expected words of 1 to {MOST_LETTERS}")
    try:
        side = _text_side(table, weights, os.environ.get(FOLDER, "."))
        return np.asarray(side.embed_text([words])[0])
    except (InputError, CheckpointError) as error:
        raise QueryError(str(error)) from error


@st.cache_resource(max_entries=1, show_spinner="Reading the weights", hash_funcs=BY_SNAPSHOT)
def _text_side(table: EmbeddingTable, weights: str, folder: str) -> TextSide:
    return text_side(table, weights, folder=Path(folder))
