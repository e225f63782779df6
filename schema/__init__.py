"""Records that several folders share; imports nothing of ours."""
