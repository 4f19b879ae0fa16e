# Envoy that keeps the sessions that it verified.
JWT_CACHE=1 exec bash "${BASH_SOURCE[0]%/*}/envoy.sh" "$@"
