"""The paper's seven tasks with frozen features: scenes enter, tables with intervals leave."""
