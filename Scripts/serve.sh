#!/usr/bin/env bash
# Builds the program with the HTTP service and starts it; arguments go to `dvae serve` (--port 8000).
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

Scripts/setup.sh libmicrohttpd
build --product dvae --traits Server
exec "$(build --show-bin-path --traits Server)/dvae" serve "$@"
