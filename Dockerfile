# One image for every role: `docker run casestream relay`. The role is the argument.

FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/casestream
ENV PATH="/opt/casestream/bin:$PATH"
# The lock file first: this layer is built anew only when a dependency changes.
COPY requirements.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY . .
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM python:3.11-slim
LABEL org.opencontainers.image.title="casestream" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --home-dir /var/lib/casestream --create-home --shell /usr/sbin/nologin casestream \
    && install -d -m 700 -o casestream -g casestream /var/lib/casestream-keys
COPY --from=build /opt/casestream /opt/casestream
ENV PATH="/opt/casestream/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CASESTREAM_HOME=/var/lib/casestream
USER 10001:10001
WORKDIR /var/lib/casestream
# Finish the batch, mirror the offsets, leave within 20 s: give it a longer grace than that.
STOPSIGNAL SIGTERM
ENTRYPOINT ["casestream", "run"]
CMD ["api"]
