"""What scores items without Spark: factor models and top-k."""
