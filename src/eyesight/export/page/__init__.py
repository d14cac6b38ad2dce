"""A classifier as one page that runs in a browser."""
