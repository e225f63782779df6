"""What `benchmarks.outages` does to a stack under a training, and how it judges what came of it."""
