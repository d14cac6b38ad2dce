"""What a machine without the internet needs to use a classifier: wheels, and how to install them."""
