"""The application of a run's own Prefect server."""

from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from prefect.server.api import server
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

_begin = AioSqliteConfiguration.begin_transaction


def create_app() -> FastAPI:
    """Return Prefect's application, each of whose transactions takes SQLite's lock for writing where it begins.

    As Prefect begins them, one that reads first fails at its first write if another has written in between: at once,
    however long it may wait for a lock (SQLITE_BUSY_SNAPSHOT). The client then asks again after two seconds, and a run
    with much to report stood still for some twenty seconds in all.
    """
    AioSqliteConfiguration.begin_transaction = _begin_to_write  # type: ignore[method-assign,assignment]
    return server.create_app()


def _begin_to_write(
    self: AioSqliteConfiguration,
    session: AsyncSession,
    with_for_update: bool = False,  # noqa: ARG001
) -> AbstractAsyncContextManager[AsyncSessionTransaction]:
    return _begin(self, session, with_for_update=True)
