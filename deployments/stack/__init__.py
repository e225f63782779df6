"""The process stack: every server that flows can run on, started, watched and stopped together."""
