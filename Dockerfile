# Two images. The stage `serving` is the API, which answers from the store's champion and needs no Java:
#
#   docker build -t amazon-recommender-serving --target serving .
#   docker run --rm -p 127.0.0.1:8000:8000 -e API_HOST=0.0.0.0 -e API_ALLOW_ANONYMOUS=true -e API_EVENTS_DIR=none \
#       -v "$PWD/data/store:/app/data/store:ro" amazon-recommender-serving
#
# To take events, give it a store that it may write to, and a volume at /app/data/events that outlives it. Its health check speaks HTTP:
# with API_TLS_CERTIFICATE, run it with another one.
#
# The last stage is a batch image: `docker run IMAGE --input …` trains once and ends with the flow's exit code. Nothing listens
# in it, so a HEALTHCHECK would have nothing to ask; whoever starts it reads the exit code.
#
#   docker build -t amazon-recommender .
#   docker run --rm -v recommender:/app/data -v "$PWD/their-reviews.json.gz:/reviews.json.gz:ro" \
#       amazon-recommender --input /reviews.json.gz

FROM quay.io/minio/minio:RELEASE.2025-04-22T22-12-26Z@sha256:a1ea29fa28355559ef137d71fc570e508a214ec84ff8083e39bc5428980b015e AS minio

FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d AS python


FROM python AS serving-packages

# Without pip, which would stay in the image: that of the base installs.
COPY serving/requirements.txt ./
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --require-hashes -r requirements.txt


FROM python AS serving

ENV OPENBLAS_NUM_THREADS=1 \
    PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

RUN useradd --create-home --uid 10001 recommender \
    && install -d -o recommender -g recommender /app /app/data /app/data/stack /app/data/stack/api

WORKDIR /app
COPY --from=serving-packages /opt/venv /opt/venv
COPY models models
COPY schema schema
COPY serving serving
COPY storage storage

USER 10001
VOLUME /app/data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"API_PORT\", 8000)}/healthz', timeout=5)"]
CMD ["python", "-m", "serving"]


FROM python AS base

# procps: Spark's launch script calls ps. The man page folder: openjdk links pages into it on slim images.
# No exact versions: Debian serves only the newest security release of a package, so such a pin would break.
# hadolint ignore=DL3008
RUN mkdir -p /usr/share/man/man1 \
    && apt-get update \
    && apt-get install -y --no-install-recommends libopenblas0-pthread openjdk-17-jre-headless procps \
    && rm -rf /var/lib/apt/lists/*


FROM base AS packages

WORKDIR /app
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

COPY requirements.txt ./
RUN python -m venv /opt/venv \
    && sed -n '/^uv==/,/[^\\]$/p' requirements.txt > /tmp/uv.txt \
    && /opt/venv/bin/python -m pip install --no-cache-dir --no-deps --require-hashes -r /tmp/uv.txt \
    && /opt/venv/bin/uv pip sync --no-cache --python /opt/venv/bin/python --require-hashes requirements.txt

COPY . .
RUN /opt/venv/bin/uv pip install --no-cache --offline --python /opt/venv/bin/python \
        --no-deps --no-build-isolation --editable . \
    && /opt/venv/bin/python -m spark.jars


FROM base AS batch

ENV MLFLOW_TRACKING_URI=sqlite:////app/data/mlflow.db \
    OPENBLAS_NUM_THREADS=1 \
    PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

RUN useradd --create-home --uid 10001 recommender \
    && install -d -o recommender -g recommender /app /app/data

COPY --from=packages /opt/venv /opt/venv
COPY --from=packages --chown=recommender:recommender /app /app

WORKDIR /app
USER 10001
VOLUME /app/data
ENTRYPOINT ["python", "flows/train.py"]


# What the services of deployments/compose.yaml run: the same, and MinIO.
FROM batch AS stack

USER root
COPY --from=minio /usr/bin/minio /usr/local/bin/minio
# What a new volume starts with.
RUN install -d -o recommender -g recommender /minio /app/data/stack \
        /app/data/stack/mlflow /app/data/stack/prefect /app/data/stack/prefect-worker
USER 10001
ENTRYPOINT []


FROM batch
