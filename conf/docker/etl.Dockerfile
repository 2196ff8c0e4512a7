# The ETL service: takes in what arrives until SIGTERM. The image of the jobs, with a command of its own.
ARG SPARK=localhost/pcb-spark:latest

FROM ${SPARK}
# The service is there while its JVM is.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["sh", "-c", "grep -qx java /proc/[0-9]*/comm"]
CMD ["pcb-spark", "ingest", "--continuous", "--config", "/etc/pcb/service.toml"]
