"""Persistence of the SuperLink: tables, queries and migrations for SQLite and PostgreSQL."""
