"""Single transfers of one large file, each in a process of its own."""
