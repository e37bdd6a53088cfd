"""What of a snapshot DuckDB reads: files that were checked, and what their columns are."""

import base64
import json
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Source:
    """Files on this disk, named by their content, so that equal ones hold the same rows."""

    h3_resolution: int
    partition_resolution: int | None
    schema: pa.Schema
    parts: tuple[str, ...]
    sidecars: dict[str, str]  # of the prototypes: paths by name

    def to_json(self) -> str:
        schema = base64.b64encode(self.schema.serialize()).decode()
        return json.dumps({**vars(self), "schema": schema})

    @staticmethod
    def from_json(text: str) -> "Source":
        told = json.loads(text)
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(told["schema"])))
        return Source(**{**told, "schema": schema, "parts": tuple(told["parts"])})
