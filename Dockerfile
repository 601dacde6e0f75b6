# The image: one static binary and CA certificates, nothing else; no shell, no package manager, no root.
# `docker build .` needs nothing but this folder.

# Only builds: nothing of it gets into the image but CA certificates. The digest is of the index of all architectures.
FROM rust:1.95.0-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082 AS build
# Without versions: Debian keeps only the newest of a package, so a version here would end every later build.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# The same target as `make static`, whose binary the tests start in an empty root.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    ./static-build \
    && cp target/static/caas-operator /caas-operator

FROM scratch
LABEL org.opencontainers.image.title="caas-operator" \
      org.opencontainers.image.description="Turns Container-as-a-Service APIs into Prometheus metrics" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /caas-operator /caas-operator
# "nonroot" of the distroless images; as a number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/caas-operator"]
CMD ["run"]
