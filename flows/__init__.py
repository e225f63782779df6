"""One Prefect flow per stage that someone runs alone, and their settings."""
