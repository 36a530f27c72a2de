# One image for every service: collectors, Dagster webserver, daemon and code location.
FROM python:3.12-slim
RUN useradd --create-home --uid 10001 tickhouse && mkdir /lake && chown tickhouse /lake
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
USER tickhouse
ENV TICKHOUSE_HOME=/lake DAGSTER_HOME=/lake/dagster
VOLUME /lake
ENTRYPOINT ["tickhouse"]
CMD ["--help"]
