"""From a picture file to pixels of the network's size."""
