"""Deployments, schedules and the process stack."""
