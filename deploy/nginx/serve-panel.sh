#!/bin/sh
# The entrypoint of the image `ui`: fills in panel.conf.template from the environment and becomes nginx.
set -eu

if [ -z "${NGINX_LOCAL_RESOLVERS:-}" ]; then
  # The first alone: nginx would ask all in turn, and take it from the others that a name of this network is unknown.
  # It wants IPv6 addresses in brackets.
  NGINX_LOCAL_RESOLVERS=$(awk '$1 == "nameserver" { print ($2 ~ /:/) ? "[" $2 "]" : $2; exit }' /etc/resolv.conf)
fi
[ -n "$NGINX_LOCAL_RESOLVERS" ] || {
  echo "error: /etc/resolv.conf names no name server; give one as NGINX_LOCAL_RESOLVERS" >&2
  exit 64
}
export NGINX_LOCAL_RESOLVERS

# shellcheck disable=SC2016 # envsubst wants the names; nginx has variables of its own, which stay
envsubst '${PANEL_LISTEN} ${PANEL_ROOT} ${CONTROL_URL} ${GATEWAY_URL} ${NGINX_LOCAL_RESOLVERS}' \
  </etc/camofleet/panel.conf.template >/tmp/panel.conf
exec nginx -e stderr -c /etc/camofleet/nginx.conf -g 'daemon off;'
