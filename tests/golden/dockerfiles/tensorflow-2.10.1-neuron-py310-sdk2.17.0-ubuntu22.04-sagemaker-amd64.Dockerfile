# Rendered by the toolkit from images.toml and dockerfiles/; change it there.
# AWS Neuron SDK 2.17.0
FROM --platform=$BUILDPLATFORM public.ecr.aws/docker/library/ubuntu:22.04 AS packages
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
    && ln -sf python3.10 /usr/bin/python3 \
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
      --python /usr/bin/python3 --python-version 3.10 --python-platform x86_64-manylinux_2_35 \
      --target /opt/packages --requirement /tmp/requirements.txt

FROM public.ecr.aws/docker/library/ubuntu:22.04
RUN --mount=type=secret,id=ca-bundle,mode=0444 \
    --mount=type=secret,id=apt-sources,mode=0444 \
    --mount=type=secret,id=apt-auth,mode=0444 \
    --mount=type=bind,from=downloads,source=debs,target=/mnt/debs \
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
      /mnt/debs/*.deb \
    && ln -sf python3.10 /usr/bin/python3 \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/ldconfig/aux-cache /var/log/*
COPY --from=packages /opt/packages /usr/local/lib/python3.10/dist-packages
# Programs of packages (neuron-cc, neuronx-cc), the SDK's tools and the runtime's library, as AWS's images
# have them: https://github.com/aws-neuron/deep-learning-containers
ENV LANG=C.UTF-8 PYTHONUNBUFFERED=1 \
    PATH=/opt/aws/neuron/bin:/usr/local/lib/python3.10/dist-packages/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LD_LIBRARY_PATH=/opt/aws/neuron/lib:/usr/local/lib
# Served by the SDK's own model server; its package puts it there.
ENV SERVING_MODEL_SERVER=/usr/local/bin/tensorflow_model_server_neuron
COPY serving /opt/serving/serving
COPY --chmod=0755 serve /usr/local/bin/serve
ENV SERVING_FRAMEWORK=tensorflow-neuron
EXPOSE 8080
CMD ["serve"]
