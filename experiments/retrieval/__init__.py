"""Labelled sets and vectors enter; scores with intervals, in two tables that are never mixed, leave."""
