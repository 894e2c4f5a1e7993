#!/usr/bin/env bash
# The long form of the service's abuse and load tests: 200 stalled clients, 10,000 requests,
# throughput beside `dvae tokenize`. It takes about half an hour and uses only the loopback
# interface.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

Scripts/setup.sh libmicrohttpd
for program in wrk python3; do
  command -v "$program" >/dev/null || fail "$program is missing; on Debian: apt-get install $program"
done
build --product dvae --traits Server
dvae="$(build --show-bin-path --traits Server)/dvae"
python3 Utilities/check_serve.py "$dvae" --long --weights starter "$@"
python3 Utilities/check_page.py "$dvae"
