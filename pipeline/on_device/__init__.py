"""The exact search of a device: torch holds an index's vectors there and names the rows that may be found."""
