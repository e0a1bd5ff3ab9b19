#!/bin/sh
# The entrypoint of the image `ui`: fills in panel.conf.template from the environment and starts nginx.
set -eu

if [ -z "${NGINX_LOCAL_RESOLVERS:-}" ]; then
  # Only the first: nginx would query all in turn, and accept a negative answer of the others for a name of this network.
  # IPv6 addresses need brackets.
  NGINX_LOCAL_RESOLVERS=$(awk '$1 == "nameserver" { print ($2 ~ /:/) ? "[" $2 "]" : $2; exit }' /etc/resolv.conf)
fi
[ -n "$NGINX_LOCAL_RESOLVERS" ] || {
  echo "error: /etc/resolv.conf names no name server; give one as NGINX_LOCAL_RESOLVERS" >&2
  exit 64
}
export NGINX_LOCAL_RESOLVERS

# shellcheck disable=SC2016 # envsubst gets the names, so that nginx's own variables are kept
envsubst '${PANEL_LISTEN} ${PANEL_ROOT} ${CONTROL_URL} ${GATEWAY_URL} ${NGINX_LOCAL_RESOLVERS}' \
  </etc/camofleet/panel.conf.template >/tmp/panel.conf
exec nginx -e stderr -c /etc/camofleet/nginx.conf -g 'daemon off;'
