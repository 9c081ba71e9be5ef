"""Where the SuperLink keeps what must not be lost: tables, queries and migrations, for SQLite and PostgreSQL."""
