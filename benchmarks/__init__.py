"""Measurements that anyone can repeat: each prints a table, names the machine and can write its rows as JSON."""
