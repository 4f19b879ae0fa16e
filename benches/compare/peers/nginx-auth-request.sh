# nginx that asks an endpoint on every request, which always says yes.
AUTH=stub exec bash "${BASH_SOURCE[0]%/*}/nginx.sh" "$@"
