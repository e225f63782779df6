"""The flow of flows/ingest.py as deployments run it."""

from deployments.runs.building import deployed
from flows import ingest as stage

ingest = deployed(stage.ingest, stage.PARTS)
