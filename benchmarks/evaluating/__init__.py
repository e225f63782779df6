"""What takes part in the benchmark of the evaluation: its input, its contestants and its figures."""
