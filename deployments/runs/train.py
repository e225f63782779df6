"""The flow of flows/train.py as deployments run it."""

from deployments.runs.building import deployed
from flows import train as stage

train = deployed(stage.train, stage.PARTS)
