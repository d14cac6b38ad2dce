"""What the tutorials explain, computed and drawn: convolutions over photos, and lessons cell by cell."""
