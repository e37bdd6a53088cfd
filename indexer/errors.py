"""What goes wrong with what comes from outside: each error says what came, what was expected, what to do."""


class TableError(ValueError):
    """A table, or rows for one, that cannot be used."""


class QueryError(ValueError):
    """A query, a filter or SQL that cannot be answered."""


class NoRowError(QueryError):
    """An example that the table has no row of, or none with the vectors asked for: others may have theirs."""
