# Rendered by the toolkit from images.toml and dockerfiles/; change it there.
FROM --platform=$BUILDPLATFORM debian:bullseye AS packages
RUN --mount=type=bind,from=uv,target=/opt/uv \
    --mount=type=bind,source=requirements.txt,target=/tmp/requirements.txt \
    --mount=type=bind,source=drop.py,target=/tmp/drop.py \
    --mount=type=bind,source=drop.txt,target=/tmp/drop.txt \
    --mount=type=cache,id=uv,target=/root/.cache/uv \
    --mount=type=secret,id=ca-bundle \
    --mount=type=secret,id=uv-config \
    if [ -s /run/secrets/ca-bundle ]; then export SSL_CERT_FILE=/run/secrets/ca-bundle; fi; \
    if [ -s /run/secrets/uv-config ]; then export UV_CONFIG_FILE=/run/secrets/uv-config; fi; \
    made="$(mktemp -d /root/.cache/uv/.made-XXXXXX)" && trap 'rm -rf "$made"' EXIT && \
    /opt/uv/uv pip install --no-progress --link-mode hardlink --only-binary :all: --require-hashes --no-deps \
      --python /usr/bin/python3 --python-version 3.9 --python-platform aarch64-manylinux_2_31 \
      --target "$made" --requirement /tmp/requirements.txt \
    && /usr/bin/python3 /tmp/drop.py "$made" /opt/packages /tmp/drop.txt

FROM debian:bullseye
COPY --from=packages /opt/packages /usr/local/lib/python3.9/dist-packages
ENV LANG=C.UTF-8 PYTHONUNBUFFERED=1
COPY serving /opt/serving/serving
COPY --chmod=0755 serve /usr/local/bin/serve
ENV SERVING_FRAMEWORK=pytorch
EXPOSE 8080
CMD ["serve"]
