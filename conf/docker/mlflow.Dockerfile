# The registry's server, MLflow, with what it needs to keep its books in PostgreSQL.
# BASE is a Debian 12; name it by digest where your registry tells one: debian@sha256:...
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
# For networks with an index or a certificate authority of their own; neither stays in the image.
ARG PIP_INDEX_URL
ARG PIP_CERT
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3.11 python3.11-venv \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && python3.11 -m venv /opt/mlflow
# The version of the client in constraints.txt.
RUN /opt/mlflow/bin/pip install --no-cache-dir mlflow==3.17.2 psycopg2-binary==2.9.10 \
    && /opt/mlflow/bin/pip uninstall -y pip \
    && find /opt/mlflow -type d -name tests -prune -exec rm -rf {} +

FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libpython3.11-stdlib \
        python3.11-minimal \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && useradd --uid 1000 --no-create-home --home-dir /tmp mlflow \
    && install -d -o 1000 -g 1000 /artifacts
COPY --from=build /opt/mlflow /opt/mlflow
ENV PATH=/opt/mlflow/bin:$PATH LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
WORKDIR /tmp
VOLUME /artifacts
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import http.client as h; c = h.HTTPConnection('127.0.0.1', 5000, timeout=4); c.request('GET', '/health'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1", \
    "--artifacts-destination", "/artifacts"]
