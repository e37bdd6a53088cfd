"""What a table holds before anything is asked: rows drawn from it, laid out in a plane, in clusters."""
