# All jobs: pcb-spark, Spark with its jars, Java and Python; one pod, or driver and executors.
# BASE is a Debian 12; name it by digest where your registry tells one: debian@sha256:...
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
# For networks with an index, a mirror or a certificate authority of their own; none stays in the image.
ARG PIP_INDEX_URL
ARG PIP_CERT
ARG JAVA_TOOL_OPTIONS
# Whose connectors come along: abfss, wasb, s3a.
ARG SCHEMES=abfss
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 openjdk-17-jre-headless procps \
        python3.11 python3.11-venv \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && python3.11 -m venv /opt/pcb
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY pcb_spark/__init__.py pcb_spark/
# What it needs first: a layer that stays while only the program changes. pyspark and petastorm come as
# source, which these three build.
RUN /opt/pcb/bin/pip install --no-cache-dir -c constraints.txt flit_core setuptools wheel \
    && /opt/pcb/bin/pip install --no-cache-dir -c constraints.txt --no-build-isolation '.[spark,postgresql]'
COPY pcb_spark pcb_spark
RUN /opt/pcb/bin/pip install --no-cache-dir --no-deps --no-build-isolation --force-reinstall . \
    && find /opt/pcb -type d -name tests -prune -exec rm -rf {} +
# What `pcb-spark jars` fetches, less its archive of Spark's classes, which fits where it was made alone,
# and less Ivy's own copies. A build's host name stands in no table.
ENV XDG_CACHE_HOME=/opt/pcb/cache SPARK_LOCAL_HOSTNAME=localhost
RUN /opt/pcb/bin/python -c "import sys; from pcb_spark.lake import jars; \
        own = jars.read_properties(jars.default_properties_file()); \
        jars.with_connectors(own, [f'{scheme}:' for scheme in sys.argv[1:]])" ${SCHEMES} \
    && rm -rf /opt/pcb/cache/pcb_spark/jars/*/cache \
    && mv /opt/pcb/cache/pcb_spark/jars /opt/pcb/jars \
    && /opt/pcb/bin/pip uninstall -y pip setuptools wheel flit_core

FROM ${BASE}
# libgomp1: LightGBM. procps: Spark's scripts. tini: what Python workers leave behind.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libgomp1 libpython3.11-stdlib \
        openjdk-17-jre-headless procps python3.11-minimal tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && useradd --uid 1000 --no-create-home --home-dir /tmp pcb \
    && ln -s /opt/pcb/lib/python3.11/site-packages/pyspark /opt/spark
COPY --from=build /opt/pcb /opt/pcb
COPY jobs /opt/pcb_spark/jobs
COPY --chmod=755 conf/docker/entrypoint /opt/pcb_spark/entrypoint
ENV PATH=/opt/pcb/bin:$PATH LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 \
    SPARK_HOME=/opt/spark PYSPARK_PYTHON=/opt/pcb/bin/python PYSPARK_DRIVER_PYTHON=/opt/pcb/bin/python \
    PCB_JARS=/opt/pcb/jars XDG_CACHE_HOME=/tmp/cache ORT_LOAD_CONFIG_FROM_MODEL=1
USER 1000:1000
WORKDIR /tmp
# A job ends, and its exit code says how.
HEALTHCHECK NONE
ENTRYPOINT ["/usr/bin/tini", "--", "/opt/pcb_spark/entrypoint"]
CMD ["pcb-spark", "--help"]
