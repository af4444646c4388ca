# kerasrun and the versions it was tested with, for a CPU.
#
#   docker build -t kerasrun .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" kerasrun train experiment.yaml
#
# What this file installs is tested without Docker (tests/test_packaging.py); the image itself has not been built yet.
FROM python:3.11-slim
COPY . /tmp/kerasrun
RUN cd /tmp/kerasrun && pip install --no-cache-dir -c constraints.txt . && rm -rf /tmp/kerasrun
ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["kerasrun"]
