# syntax=docker/dockerfile:1
# The companion with the page in it. It needs a token, since a container listens on all its addresses:
#   docker build -t patchlight .
#   docker run --rm --gpus all -p 127.0.0.1:8642:8642 -e PATCHLIGHT_TOKEN=... -v patchlight-models:/home/patchlight/.cache \
#     patchlight --model llava-hf/llava-1.5-7b-hf

FROM node:22-bookworm-slim AS page
WORKDIR /patchlight
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund
COPY . .
RUN npm run build:companion

FROM python:3.13-slim-bookworm
# Names an index of PyTorch builds without CUDA, for a smaller image that runs on the CPU.
ARG PIP_EXTRA_INDEX_URL=
WORKDIR /patchlight
COPY --from=page /patchlight/companion companion
COPY LICENSE companion/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install -c companion/constraints.txt './companion[serve]'

RUN useradd --create-home --uid 1000 patchlight \
    && install -d -o patchlight -g patchlight /home/patchlight/.cache
USER 1000
WORKDIR /home/patchlight
ENV PYTHONUNBUFFERED=1
EXPOSE 8642
ENTRYPOINT ["patchlight", "serve", "--no-open", "--host", "0.0.0.0"]
CMD ["--help"]
