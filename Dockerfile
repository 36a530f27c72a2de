# One image for every service: collectors, Dagster webserver, daemon and code location.
FROM python:3.12-slim-trixie
# pg_dump and pg_restore for `tickhouse backup-database` and `restore-database`: of the server's major version, or newer.
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-client-17 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 10001 --user-group tickhouse && mkdir /lake && chown tickhouse:tickhouse /lake
WORKDIR /app
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY assets assets
COPY collectors collectors
COPY lake lake
COPY orchestration orchestration
COPY serving serving
COPY simulator simulator
COPY sources sources
RUN pip install --no-cache-dir --no-deps --no-build-isolation .
USER 10001:10001
ENV TICKHOUSE_HOME=/lake DAGSTER_HOME=/lake/dagster
VOLUME /lake
ENTRYPOINT ["tickhouse"]
CMD ["--help"]
