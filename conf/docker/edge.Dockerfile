# Edge machines: pcb-edge, Python and its libraries; neither Spark nor Java.
# BASE is a Debian 12; name it by digest where your registry tells one: debian@sha256:...
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
# For networks with an index or a certificate authority of their own; neither stays in the image.
ARG PIP_INDEX_URL
ARG PIP_CERT
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3.11 python3.11-venv \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && python3.11 -m venv /opt/pcb
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY pcb_spark/__init__.py pcb_spark/
# What it needs first: a layer that stays while only the program changes.
RUN /opt/pcb/bin/pip install --no-cache-dir -c constraints.txt '.[edge]'
COPY pcb_spark pcb_spark
RUN /opt/pcb/bin/pip install --no-cache-dir --no-deps --force-reinstall . \
    && /opt/pcb/bin/pip uninstall -y pip setuptools \
    && find /opt/pcb -type d -name tests -prune -exec rm -rf {} +

FROM ${BASE}
# ca-certificates: bundles may be fetched by HTTPS.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libpython3.11-stdlib \
        python3.11-minimal \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && useradd --uid 1000 --no-create-home --home-dir /tmp pcb \
    && install -d -o 1000 -g 1000 /var/lib/pcb-edge
COPY --from=build /opt/pcb /opt/pcb
ENV PATH=/opt/pcb/bin:$PATH LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PCB_EDGE_HOME=/var/lib/pcb-edge
USER 1000:1000
WORKDIR /tmp
VOLUME /var/lib/pcb-edge
# Keys, signature, hashes, and the bundle's own images to the last bit.
HEALTHCHECK --interval=15m --timeout=60s CMD ["pcb-edge", "doctor"]
ENTRYPOINT ["pcb-edge"]
CMD ["watch", "/srv/camera", "--out", "/var/lib/pcb-edge/watch", "--to", "/mnt/plant/line"]
