"""Rows enter; snapshots of a table of Parquet parts leave, committed whole or not at all."""
