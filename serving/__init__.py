"""The API and its page: answers from the store's champion, without Spark, Prefect, Dask or MLflow."""
