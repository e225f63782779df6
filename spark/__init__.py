"""Work that needs a shuffle, on a Spark session: cleaning, k-core, indexing, ALS."""
