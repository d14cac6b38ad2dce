"""How fast a network trains and predicts on this machine: what to measure, the timing, the report, the figure."""
