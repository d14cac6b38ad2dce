"""Judging: figures of merit and pictures, from saved predictions."""
