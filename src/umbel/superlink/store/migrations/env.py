"""Runs the migrations on the connection that `umbel.superlink.store.engines` gives."""

from alembic import context

from umbel.superlink.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,  # the caller's transaction holds it all
)
context.run_migrations()
