"""Showing: figures, text, templates and tables of what was measured."""
