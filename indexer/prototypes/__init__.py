"""A snapshot enters; what each of its regions is made of leaves, and which row is like which prototype."""
