"""Rows that stand in order, as an answer."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ..geo.cells import centres


def ranked(rows: pa.Table) -> pa.Table:
    """Rows, best first, with `rank` before all columns and `lon` and `lat` after `sample_id`."""
    lon_deg, lat_deg = centres(rows["h3_cell"].to_numpy())
    after = rows.schema.get_field_index("sample_id") + 1
    rows = rows.add_column(after, "lon", pa.array(lon_deg)).add_column(after + 1, "lat", pa.array(lat_deg))
    return rows.add_column(0, "rank", pa.array(np.arange(1, len(rows) + 1)))
