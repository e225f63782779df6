"""The flow of flows/recommend.py as deployments run it."""

from deployments.runs.building import deployed
from flows import recommend as stage

recommend = deployed(stage.recommend, stage.PARTS)
