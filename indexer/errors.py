"""What goes wrong with what comes from outside: each error says what came, what was expected, what to do."""


class TableError(ValueError):
    """A table, or rows for one, that cannot be used."""


class QueryError(ValueError):
    """A query, a filter or SQL that cannot be answered."""
