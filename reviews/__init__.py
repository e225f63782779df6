"""Reading reviews files of any shape: download, formats, parsing, checks, sample data."""
