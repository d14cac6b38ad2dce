"""The document model that lessons and reports share, and how it is shown."""
