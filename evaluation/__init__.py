"""Splits, metrics, baselines, figures and the report; arrays in, records out."""
