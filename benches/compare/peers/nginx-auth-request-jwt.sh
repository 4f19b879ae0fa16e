# nginx that asks a haproxy on every request, which verifies the session.
AUTH=jwt exec bash "${BASH_SOURCE[0]%/*}/nginx.sh" "$@"
