"""The flows as deployments run them: one flow for each entry of prefect.yaml, with flat parameters."""
