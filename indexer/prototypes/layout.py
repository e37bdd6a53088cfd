"""The files that fitting makes: what they are called, and the columns of assignments."""

import pyarrow as pa

from ..table.schema import TIMESTAMP

KIND = "prototypes"  # the sidecar that both belong to
PROTOTYPES, ASSIGNMENTS = "prototypes.parquet", "assignments.parquet"
SCHEMA = pa.schema(
    [
        pa.field("h3_cell", pa.uint64(), nullable=False),
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("start_datetime", TIMESTAMP, nullable=False),
        pa.field("end_datetime", TIMESTAMP, nullable=False),
        pa.field("region_cell", pa.uint64(), nullable=False),
        pa.field("prototype", pa.int32(), nullable=False),
        pa.field("prototype_similarity", pa.float32(), nullable=False),
    ]
)
