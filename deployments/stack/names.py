"""What services, and the variables that hold secrets, are called."""

MINIO = "minio"
BUCKET_JOB = "store-bucket"
PREFECT_SERVER = "prefect-server"
PREFECT_WORKER = "prefect-worker"
DASK_SCHEDULER = "dask-scheduler"
SPARK_MASTER = "spark-master"
MLFLOW = "mlflow"

WORK_POOL = "recommender"
HEARTBEAT_SECONDS = 30  # the shortest that Prefect takes

ACCESS_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
MINIO_KEYS = ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD")
DATABASE_URL = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
