"""What end-to-end tests and benchmarks share: the product in this process or in its own, and files with known answers."""
