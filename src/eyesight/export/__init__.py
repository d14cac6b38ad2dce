"""What leaves the house: the classifier's own graph as a file, and proof that it answers as the classifier does."""
