"""Thin Prefect tasks around the plain functions of the other folders."""
