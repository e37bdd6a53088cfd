"""The command `skyhex`."""
