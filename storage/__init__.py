"""The artifact store: a few verbs, immutable artifacts and one pointer."""
