"""Read people's files: download, formats, parsing, checks, quarantine, sample data."""
