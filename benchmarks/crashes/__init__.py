"""Trainings that are killed, stores that are watched meanwhile, and what is left in the end."""
