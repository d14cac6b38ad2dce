"""The networks by family: a function for each name."""
