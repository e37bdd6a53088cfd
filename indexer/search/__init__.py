"""A query and a filter enter; hits leave: the one place that says whether a row matches a filter."""
