"""The flow of flows/promote.py as deployments run it."""

from deployments.runs.building import deployed
from flows import promote as stage

promote = deployed(stage.promote, stage.PARTS)
