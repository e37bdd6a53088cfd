"""The periods that a table's rows are of, each as a word that `skyhex changes --before` takes."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import streamlit as st

from indexer.table.embedding_table import EmbeddingTable

from .cached import BY_SNAPSHOT, read_keys
from .results import period

DAY_US = 86_400_000_000
MAX_PERIODS = 60  # more than these, as of scenes that have a day each, are offered by the year


@st.cache_data(max_entries=4, show_spinner=False, hash_funcs=BY_SNAPSHOT)
def periods_of(table: EmbeddingTable) -> list[str]:
    """In order of time: `2021`, `2021-06`, `2021-06-30` or `2021-03-01/2021-10-01`, of whole days in UTC."""
    keys = read_keys(table)
    first, after = keys.start_us // DAY_US, -(-keys.end_us // DAY_US)
    days = np.unique(np.stack([first, np.maximum(after, first + 1)], axis=1), axis=0)
    if len(days) > MAX_PERIODS:
        years = (days.astype("datetime64[D]") - [[0, 1]]).astype("datetime64[Y]").astype(int) + 1970
        return [str(year) for year in range(years.min(), years.max() + 1)]
    return [_word(*pair) for pair in days.tolist()]


def _word(first_day: int, day_after: int) -> str:
    start, end = (
        datetime.combine(date(1970, 1, 1) + timedelta(days=days), datetime.min.time(), UTC)
        for days in (first_day, day_after)
    )
    return period({"start_datetime": start, "end_datetime": end}).replace(" to ", "/")
