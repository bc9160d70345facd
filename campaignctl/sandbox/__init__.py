"""A small advertising world with known truth: campaigns, their event stream, and the sums that must come out."""
