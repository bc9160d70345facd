"""Stores in memory that keep their ports' promises, and fail on demand."""
