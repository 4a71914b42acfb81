# A Parley node. All settings come from the environment; README.md lists them.
# bcrypt and SQLite ship binaries for musl too, but glibc is what every figure and test of this project was run on.
ARG NODE_VERSION=24

FROM node:${NODE_VERSION}-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY packages ./packages
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY tools/bundle.mjs tools/
COPY src ./src
COPY web ./web
COPY site ./site
COPY docs ./docs
COPY README.md ./
# Declarations too: the reference of the client is made from them.
RUN npx tsc -p tsconfig.json --incremental false --sourceMap false && node tools/bundle.mjs && npx vite build web && node dist/site/build.js

FROM node:${NODE_VERSION}-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY deploy/prune.sh deploy/
# .npmrc includes packages of development; `--include=prod` takes its place.
RUN npm ci --omit=dev --include=prod --ignore-scripts && deploy/prune.sh .

FROM node:${NODE_VERSION}-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 DATA_DIR=/data
WORKDIR /app
RUN install -d -m 0700 -o node -g node /data
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist/server ./dist/server
COPY --from=build /app/dist/pages ./dist/pages
COPY --from=build /app/dist/docs ./dist/docs
COPY package.json ./
# The image's user `node`, by number, so that a platform which demands a user other than root can see that it is one.
USER 1000:1000
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# No shell between: SIGTERM reaches node, which finishes what is in flight within 10 s.
CMD ["node", "dist/server/lib/main.js"]
