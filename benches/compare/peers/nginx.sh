# nginx. AUTH (set by the adapters beside this) says what it asks on every request: nothing, `stub` or `jwt`.
. "$BENCH_LIB"
: "${AUTH:=}"

auth_locations() {
  [ -n "$AUTH" ] || return 0
  cat <<C
    location = /decision {
      internal;
      proxy_pass http://decision;
      proxy_pass_request_body off;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Content-Length "";
      proxy_set_header X-Device-DN \$ssl_client_s_dn;
    }
C
}

auth_upstream() {
  [ -z "$AUTH" ] || echo "upstream decision { server 127.0.0.1:$AUTH_PORT; keepalive 256; keepalive_requests 1000000000; }"
}

identity() {
  [ "$MTLS" = 0 ] || echo "proxy_set_header X-Device-DN \$ssl_client_s_dn;"
  [ -z "$AUTH" ] || echo "auth_request /decision; auth_request_set \$user \$upstream_http_x_user; proxy_set_header X-User \$user;"
}

# What every nginx needs, and its own places for temporary files.
top() { # a folder
  mkdir -p "$1"
  cat <<C
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid $1/pid;
error_log stderr warn;
events { worker_connections 16384; }
C
}

common() { # the same folder
  cat <<C
  access_log off;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  client_body_temp_path $1/body;
  proxy_temp_path $1/proxy;
  fastcgi_temp_path $1/fastcgi;
  uwsgi_temp_path $1/uwsgi;
  scgi_temp_path $1/scgi;
C
}

# Answers every question with yes, and decides nothing.
stub() {
  {
    top "$RUN/stub"
    echo "http {"
    common "$RUN/stub"
    echo "  server { listen 127.0.0.1:$AUTH_PORT; location / { add_header X-User alice; return 204; } }"
    echo "}"
  } > stub.conf
  nginx -e stderr -p "$RUN/stub" -c "$RUN/stub.conf" &
}

case $ACTION in
  supports)
    command -v nginx > /dev/null
    [ "$AUTH" != jwt ] || command -v haproxy > /dev/null ;;
  version) nginx -v 2>&1 | sed 's/^nginx version: //' ;;
  run)
    case $AUTH in
      stub) stub ;;
      jwt) ACT=asked bash "${BASH_SOURCE[0]%/*}/haproxy.sh" run & ;;
    esac
    h2="" client=""
    [ "$H2" = 0 ] || h2=" http2"
    [ "$MTLS" = 0 ] ||
      client="ssl_verify_client on; ssl_client_certificate $PKI/device-ca.pem; ssl_crl $PKI/device-ca.crl;"
    {
      top "$RUN/main"
      echo "http {"
      common "$RUN/main"
      cat <<C
  upstream app { server 127.0.0.1:$UPSTREAM_PORT; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 600s; }
  $(auth_upstream)
  server {
    listen 127.0.0.1:$PORT ssl$h2 backlog=4096;
    server_name app.test;
    ssl_certificate $PKI/server.pem;
    ssl_certificate_key $PKI/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:sessions:10m;
    $client
    $(auth_locations)
    location / {
      $(identity)
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host \$host;
      proxy_buffers 8 64k;
      proxy_buffer_size 64k;
      proxy_busy_buffers_size 128k;
      proxy_max_temp_file_size 0;
    }
  }
}
C
    } > nginx.conf
    exec nginx -e stderr -p "$RUN/main" -c "$RUN/nginx.conf" ;;
esac
