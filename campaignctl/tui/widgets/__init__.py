"""The dashboard's parts; each paints one part of a snapshot and fetches nothing."""
