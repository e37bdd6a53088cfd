"""What is asked of tables of `random_rows`."""

import numpy as np

from indexer.search.query import Query, Vector

from ..indexer.random_rows import MODEL

QUERY = Query((Vector(np.arange(1, MODEL.dimension + 1).astype(np.float32)),))
