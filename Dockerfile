# The service in an image: docs/how-to/run-with-docker.md says how to use it.

ARG PYTHON_VERSION=3.13

# --- build: what uv.lock names, with its hashes, and the wheel of this folder ---
FROM python:${PYTHON_VERSION}-slim AS build
# The version that the Makefile names too.
RUN pip install --no-cache-dir uv==0.13.9
ENV UV_PROJECT_ENVIRONMENT=/opt/uphours \
    UV_PYTHON_DOWNLOADS=never \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1
WORKDIR /build
# The dependencies are a layer of their own, which a change of the code leaves as it is.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-default-groups --extra postgresql --extra mysql --extra cloud --extra calendars --no-install-project
COPY README.md LICENSE ./
COPY src ./src
RUN uv sync --frozen --no-default-groups --extra postgresql --extra mysql --extra cloud --extra calendars --no-editable

# --- the image: Python, the packages, a user without rights ---
FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="uphours" \
      org.opencontainers.image.description="Uptime and downtime of every store of a fleet inside its business hours" \
      org.opencontainers.image.licenses="Apache-2.0"
# /data is for a store in a file; the cache is for compiled code, which is made again where nothing can be written.
RUN groupadd --gid 10001 uphours \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin uphours \
    && install --directory --owner=10001 --group=10001 --mode=0750 /data /var/cache/uphours
COPY --from=build /opt/uphours /opt/uphours
ENV PATH=/opt/uphours/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/var/cache/uphours
WORKDIR /data
USER 10001:10001
EXPOSE 8000
# Not through a proxy that the environment may name, as urllib would.
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('UPHOURS_PORT', '8000')), timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
CMD ["uphours", "serve", "--host", "0.0.0.0"]
