"""The engine of many machines: Ray's tasks decode, its actors embed, the driver commits."""
