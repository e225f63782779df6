# Three images: `serving`, `training`, and `stack`, in which the services of deployments/compose.yaml run.
#
# `serving` is the API, which answers from the store's champion and needs no Java:
#
#   docker build -t amazon-recommender-serving --target serving .
#   docker run --rm -p 127.0.0.1:8000:8000 -e API_ALLOW_ANONYMOUS=true -e API_EVENTS_DIR=none \
#       -v "$PWD/data/store:/app/data/store:ro" amazon-recommender-serving
#
# To take events, give it a store that it may write to, and a volume at /app/data/events that outlives it. Where others reach the
# port, name keys (API_KEYS_FILE) instead of API_ALLOW_ANONYMOUS. Its health check speaks HTTP: with API_TLS_CERTIFICATE, run it
# with another one.
#
# `training`, which is built where no target is named, is a batch image: `docker run IMAGE --input …` trains once and ends with the
# flow's exit code. Nothing listens in it, so a HEALTHCHECK would have nothing to ask; whoever starts it reads the exit code. Other
# commands: `docker run --entrypoint amazon-recommender IMAGE evaluate …`.
#
#   docker build -t amazon-recommender-training --target training .
#   docker run --rm -v recommender:/app/data -v "$PWD/their-reviews.json.gz:/reviews.json.gz:ro" \
#       amazon-recommender-training --input /reviews.json.gz
#
# Each has a list of what is in it, but for Debian's packages, at /app/sbom.cdx.json (CycloneDX).

# The version of schema/version.py, as a test holds.
ARG VERSION=0.2.0

FROM quay.io/minio/minio:RELEASE.2025-04-22T22-12-26Z@sha256:a1ea29fa28355559ef137d71fc570e508a214ec84ff8083e39bc5428980b015e AS minio

FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d AS python


FROM python AS serving-packages

WORKDIR /app

# Without pip, which would stay in the image: that of the base installs.
COPY serving/requirements.txt serving/
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --require-hashes -r serving/requirements.txt

COPY deployments deployments
COPY schema schema
COPY serving serving
RUN /opt/venv/bin/python -m deployments.sbom serving > sbom.cdx.json


FROM python AS serving

# It listens to all who reach the container, and does not start without keys unless it is told to.
ENV API_HOST=0.0.0.0 \
    OPENBLAS_NUM_THREADS=1 \
    PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

RUN useradd --create-home --uid 10001 recommender \
    && install -d -o recommender -g recommender /app /app/data /app/data/stack /app/data/stack/api

WORKDIR /app
COPY --from=serving-packages /opt/venv /opt/venv
COPY --from=serving-packages /app/sbom.cdx.json ./
COPY models models
COPY schema schema
COPY serving serving
COPY storage storage

ARG VERSION
LABEL org.opencontainers.image.title="amazon-recommender-serving" \
      org.opencontainers.image.description="Answers with recommendations from the champion of a store, over HTTP" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION"

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

# Compiled here, since who runs it may not write there: else each process would compile all that it imports.
COPY requirements.txt ./
RUN python -m venv /opt/venv \
    && sed -n '/^uv==/,/[^\\]$/p' requirements.txt > /tmp/uv.txt \
    && /opt/venv/bin/python -m pip install --no-cache-dir --no-deps --require-hashes -r /tmp/uv.txt \
    && /opt/venv/bin/uv pip sync --no-cache --python /opt/venv/bin/python --require-hashes --compile-bytecode requirements.txt

COPY . .
RUN /opt/venv/bin/uv pip install --no-cache --offline --python /opt/venv/bin/python \
        --no-deps --no-build-isolation --editable . \
    && /opt/venv/bin/python -m spark.jars \
    && /opt/venv/bin/python -m deployments.sbom training > sbom.cdx.json


FROM base AS training

ENV MLFLOW_TRACKING_URI=sqlite:////app/data/mlflow.db \
    OPENBLAS_NUM_THREADS=1 \
    PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

RUN useradd --create-home --uid 10001 recommender \
    && install -d -o recommender -g recommender /app /app/data

COPY --from=packages /opt/venv /opt/venv
COPY --from=packages --chown=recommender:recommender /app /app

ARG VERSION
LABEL org.opencontainers.image.title="amazon-recommender-training" \
      org.opencontainers.image.description="Trains, evaluates and publishes recommenders, and ends" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION"

WORKDIR /app
USER 10001
VOLUME /app/data
ENTRYPOINT ["python", "flows/train.py"]


# The same, and MinIO.
FROM training AS stack

LABEL org.opencontainers.image.title="amazon-recommender-stack" \
      org.opencontainers.image.description="A service of the compose file: Prefect, Dask, Spark, MLflow or MinIO"

USER 0
COPY --from=minio /usr/bin/minio /usr/local/bin/minio
# What a new volume starts with.
RUN install -d -o recommender -g recommender /minio /app/data/stack \
        /app/data/stack/mlflow /app/data/stack/prefect /app/data/stack/prefect-worker
USER 10001
ENTRYPOINT []


FROM training
