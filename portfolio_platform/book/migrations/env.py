"""What Alembic runs for every migration: inside the transaction that `migrate.upgrade` has begun, and nowhere else."""

from alembic import context

from portfolio_platform.book import schema

connection = context.config.attributes["connection"]

context.configure(
    connection=connection,
    target_metadata=schema.metadata,
    version_table=schema.VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
