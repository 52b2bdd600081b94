# Rendered by the toolkit from images.toml and dockerfiles/; change it there.
# Amazon Elastic Inference, a service that ended in April 2024
FROM --platform=$BUILDPLATFORM public.ecr.aws/docker/library/ubuntu:18.04 AS packages
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
      python3-distutils \
      python3.7 \
    && ln -sf python3.7 /usr/bin/python3 \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/ldconfig/aux-cache /var/log/*
RUN --mount=type=bind,from=uv,target=/opt/uv \
    --mount=type=bind,source=requirements.txt,target=/tmp/requirements.txt \
    --mount=type=cache,id=uv,target=/root/.cache/uv \
    --mount=type=secret,id=ca-bundle \
    --mount=type=secret,id=uv-config \
    if [ -s /run/secrets/ca-bundle ]; then export SSL_CERT_FILE=/run/secrets/ca-bundle; fi; \
    if [ -s /run/secrets/uv-config ]; then export UV_CONFIG_FILE=/run/secrets/uv-config; fi; \
    /opt/uv/uv pip install --no-progress --link-mode copy --only-binary :all: --require-hashes --no-deps \
      --python /usr/bin/python3 --python-version 3.7 --python-platform x86_64-manylinux_2_17 \
      --target /opt/packages --requirement /tmp/requirements.txt
RUN --mount=type=bind,from=downloads,source=files,target=/mnt/files \
    mkdir -p /opt/unpacked/opt/ei_tools \
    && tar -xf /mnt/files/ei_tools_1.8.0.tar.gz --no-same-owner --strip-components=1 \
      --directory /opt/unpacked/opt/ei_tools \
    && chmod -R a+rx /opt/unpacked/opt/ei_tools
RUN --mount=type=bind,from=downloads,source=files,target=/mnt/files \
    mkdir -p /opt/unpacked/opt/tensorflow-serving \
    && tar -xf /mnt/files/tensorflow-serving-2-3-0-ei-1-6.tar.gz --no-same-owner --strip-components=1 \
      --directory /opt/unpacked/opt/tensorflow-serving \
    && chmod -R a+rx /opt/unpacked/opt/tensorflow-serving

FROM public.ecr.aws/docker/library/ubuntu:18.04
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
      python3-distutils \
      python3.7 \
    && ln -sf python3.7 /usr/bin/python3 \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/ldconfig/aux-cache /var/log/*
COPY --from=packages /opt/packages /usr/local/lib/python3.7/dist-packages
COPY --from=packages /opt/unpacked/opt/ei_tools /opt/ei_tools
COPY --from=packages /opt/unpacked/opt/tensorflow-serving /opt/tensorflow-serving
# The health check by the path that AWS's images give it too: aws/deep-learning-containers,
# tensorflow/inference/docker/2.3.0/py37/Dockerfile.eia
COPY --from=packages /opt/unpacked/opt/ei_tools /opt/ei_health_check
ENV LANG=C.UTF-8 PYTHONUNBUFFERED=1 LD_LIBRARY_PATH=/opt/ei_tools/lib:/usr/local/lib
# Served by the accelerator's own model server.
ENV SERVING_MODEL_SERVER=/opt/tensorflow-serving/amazonei_tensorflow_model_server
COPY serving /opt/serving/serving
COPY --chmod=0755 serve /usr/local/bin/serve
ENV SERVING_FRAMEWORK=tensorflow-eia
EXPOSE 8080
CMD ["serve"]
