"""A classifier behind an address: HTTP in, probabilities out, whatever the clients do.

In: a file or a run, by a function that loads it. Out: a server, in this process or in several. It starts from what is
on disk and knows nothing of training.
"""
