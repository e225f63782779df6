"""The version of the project, which `ARG VERSION` of the Dockerfile and the newest heading of the changelog repeat."""

VERSION = "0.2.0"
