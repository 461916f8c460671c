# docker build --tag srv-epmd .
# Another base image: any with the C library of the build image (glibc, or musl for both) and libstdc++. A tag is moved to
# ever new images; to build from those that were looked at, give them by digest:
#   --build-arg BUILD_IMAGE=node:20-bookworm-slim@sha256:... --build-arg RUNTIME_IMAGE=debian:bookworm-slim@sha256:...
ARG BUILD_IMAGE=node:20-bookworm-slim
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc tsconfig.json LICENSE ./
RUN npm ci --ignore-scripts
COPY src src
RUN npm run build && mv dist/srv-epmd.cjs dist/chunks . && cp "$(command -v node)" node
# The licences of what is in the image go with it.
RUN mv dist/NOTICES.txt . && node --print \
  "'\nnode is Node.js ' + process.version + '. Its licences:\nhttps://github.com/nodejs/node/blob/' + process.version + '/LICENSE'" >> NOTICES.txt

FROM ${RUNTIME_IMAGE}
COPY --from=build /build/node /usr/local/bin/node
COPY --from=build /build/srv-epmd.cjs /usr/local/lib/srv-epmd/
COPY --from=build /build/chunks /usr/local/lib/srv-epmd/chunks
COPY --from=build /build/LICENSE /build/NOTICES.txt /usr/local/share/doc/srv-epmd/
# No user of any base image, and not root.
USER 65532:65532
EXPOSE 4369
# The daemon's port has to be in the environment (SRV_EPMD_PORT), not in its arguments, for this to find it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/usr/local/bin/node", "/usr/local/lib/srv-epmd/srv-epmd.cjs", "wait", "--timeout", "1s"]
ENTRYPOINT ["/usr/local/bin/node", "/usr/local/lib/srv-epmd/srv-epmd.cjs"]
CMD ["serve"]
