# Rendered by the toolkit from images.toml and dockerfiles/; change it there.
FROM --platform=$BUILDPLATFORM public.ecr.aws/docker/library/ubuntu:20.04 AS packages
RUN --mount=type=secret,id=ca-bundle,mode=0444 \
    --mount=type=secret,id=apt-sources,mode=0444 \
    --mount=type=secret,id=apt-auth,mode=0444 \
    set --; \
    if [ -s /run/secrets/ca-bundle ]; then set -- "$@" --option=Acquire::https::CAInfo=/run/secrets/ca-bundle; fi; \
    if [ -s /run/secrets/apt-auth ]; then set -- "$@" --option=Dir::Etc::netrc=/run/secrets/apt-auth; fi; \
    if [ -s /run/secrets/apt-sources ]; then \
      set -- "$@" --option=Dir::Etc::SourceList=/run/secrets/apt-sources --option=Dir::Etc::SourceParts=/dev/null; fi; \
    export DEBIAN_FRONTEND=noninteractive \
    && apt-get "$@" update \
    && apt-get "$@" install --yes --no-install-recommends \
      ca-certificates \
      libgomp1 \
      libstdc++6 \
      python3 \
      python3-distutils \
    && ln -sf python3.8 /usr/bin/python3 \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/ldconfig/aux-cache /var/log/*
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
      --python /usr/bin/python3 --python-version 3.8 --python-platform aarch64-manylinux_2_31 \
      --target "$made" --requirement /tmp/requirements.txt \
    && /usr/bin/python3 /tmp/drop.py "$made" /opt/packages /tmp/drop.txt

FROM public.ecr.aws/docker/library/ubuntu:20.04
RUN --mount=type=secret,id=ca-bundle,mode=0444 \
    --mount=type=secret,id=apt-sources,mode=0444 \
    --mount=type=secret,id=apt-auth,mode=0444 \
    set --; \
    if [ -s /run/secrets/ca-bundle ]; then set -- "$@" --option=Acquire::https::CAInfo=/run/secrets/ca-bundle; fi; \
    if [ -s /run/secrets/apt-auth ]; then set -- "$@" --option=Dir::Etc::netrc=/run/secrets/apt-auth; fi; \
    if [ -s /run/secrets/apt-sources ]; then \
      set -- "$@" --option=Dir::Etc::SourceList=/run/secrets/apt-sources --option=Dir::Etc::SourceParts=/dev/null; fi; \
    export DEBIAN_FRONTEND=noninteractive \
    && apt-get "$@" update \
    && apt-get "$@" install --yes --no-install-recommends \
      ca-certificates \
      libgomp1 \
      libstdc++6 \
      python3 \
      python3-distutils \
    && ln -sf python3.8 /usr/bin/python3 \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/ldconfig/aux-cache /var/log/*
COPY --from=packages /opt/packages /usr/local/lib/python3.8/dist-packages
ENV LANG=C.UTF-8 PYTHONUNBUFFERED=1
COPY serving /opt/serving/serving
COPY --chmod=0755 serve /usr/local/bin/serve
ENV SERVING_FRAMEWORK=pytorch
EXPOSE 8080
CMD ["serve"]
