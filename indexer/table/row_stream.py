"""Rows as an Arrow stream, to travel: pickled, their lists would lose the names of their elements."""

import pyarrow as pa


def packed(rows: pa.Table) -> pa.Buffer:
    """Rows as a stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return sink.getvalue()


def unpacked(stream: pa.Buffer) -> pa.Table:
    """The rows, where they lie in the stream."""
    return pa.ipc.open_stream(stream).read_all()
