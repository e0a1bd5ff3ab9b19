#!/bin/bash
# The healthcheck of the image `ui`: whether nginx serves the panel. Does not need curl.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/${PANEL_LISTEN##*:}"
printf 'GET / HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r -t 3 answer <&3
case "$answer" in
  *' 200 '*) ;;
  *)
    echo "the panel answers: $answer"
    exit 1
    ;;
esac
