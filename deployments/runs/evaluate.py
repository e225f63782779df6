"""The flow of flows/evaluate.py as deployments run it."""

from deployments.runs.building import deployed
from flows import evaluate as stage

evaluate = deployed(stage.evaluate, stage.PARTS)
