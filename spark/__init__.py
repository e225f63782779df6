"""What needs a shuffle: cleaning, k-core, indexing and ALS, on a session handed in."""
