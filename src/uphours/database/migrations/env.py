"""Run by Alembic: migrate over the connection that the caller opened, inside the caller's transaction."""

from alembic import context

from uphours.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,
)
context.run_migrations()
