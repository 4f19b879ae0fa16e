#!/usr/bin/env bash
# Lets a side-by-side measurement of proxies start tiergate as one of them. Called as
#   tiergate.sh supports | version | run
# with the environment that the measurement gives every proxy: PORT, AUX_PORT and AUTH_PORT (loopback
# ports), UPSTREAM_PORT, RUN (a private folder), PKI (certificates), and MTLS, H2, DECIDE, IDLE (0 or 1).
# TIERGATE is the binary. The audit log and the metrics are on; the user `alice` is signed in before the
# proxy is ready, and her cookie is left in RUN/cookie.
. "$BENCH_LIB"
: "${TIERGATE:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/target/release/tiergate}"

# One file of configuration and one of policy: a resource behind the tier that the scenario asks for.
configure() { # the port to listen on
  local tier=open devices=""
  if [ "$MTLS" = 1 ]; then
    tier=high
    # The device that is of no use here has the same issuer: its certificate was revoked.
    devices="devices:
  authorities:
    - { name: devices, ca: $PKI/device-ca.pem, grants: issued, crl: devices.crl }"
  fi
  cat > tiergate.yaml <<C
version: 1
listen: { https: ["127.0.0.1:$1"], admin: "127.0.0.1:$AUX_PORT" }
tls: { certificates: [{ cert: $PKI/server.pem, key: $PKI/server.key }] }
$devices
identity:
  login_host: localhost
  providers: [{ name: local, type: local, users: users.yaml }]
sessions: { max_age: 12h, idle_timeout: 12h }
state: { path: state }
audit: { path: audit }
limits: { idle_timeout: 600s, max_connections_per_address: 65536 }
upstreams:
  app:
    addresses: ["127.0.0.1:$UPSTREAM_PORT"]
    headers: { X-User: "{user.name}", X-Device-DN: "{device.id}" }
policies: policies/
C
  cat > policies/policy.yaml <<C
version: 1
groups: { staff: { any_of: ["local:staff"] } }
resources:
  - { name: app, tier: $tier, hosts: [app.test], upstream: app, allow: [{ groups: [staff] }] }
C
}

# A list of the authority with the certificate of the device that is not managed.
revoke() {
  cat > ca.cnf <<C
[ca]
default_ca = it
[it]
database = $RUN/ca.db
crlnumber = $RUN/ca.number
default_md = sha256
default_crl_days = 30
certificate = $PKI/device-ca.pem
private_key = $PKI/device-ca.key
C
  : > ca.db
  echo 01 > ca.number
  openssl ca -config ca.cnf -revoke "$PKI/lowtier.pem" 2>> openssl.log
  openssl ca -config ca.cnf -gencrl -out devices.crl 2>> openssl.log
}

# One request of a browser; what follows are curl's arguments.
visit() {
  local device=()
  [ "$MTLS" = 1 ] && device=(--cert "$PKI/device.pem" --key "$PKI/device.key")
  curl --silent --show-error --max-time 10 --cacert "$PKI/server-ca.pem" "${device[@]}" --location \
    --resolve "app.test:$AUTH_PORT:127.0.0.1" --resolve "localhost:$AUTH_PORT:127.0.0.1" \
    --header 'Accept: text/html' --cookie jar --cookie-jar jar "$@"
}

field() { # the value of a hidden field of the page
  sed -n "s/.*name=\"$1\" value=\"\([^\"]*\)\".*/\1/p" page.html | head -1
}

# Signs in and prints the cookie of the application's host.
sign_in() {
  rm -f jar
  visit "https://app.test:$AUTH_PORT/" > page.html
  visit --data-urlencode "csrf=$(field csrf)" --data-urlencode "state=$(field state)" \
    --data-urlencode "provider=$(field provider)" --data-urlencode "user=alice" --data-urlencode "password@password" \
    "https://localhost:$AUTH_PORT/sign-in" > page.html
  awk '$1 ~ /app.test$/ && $6 == "__Host-tiergate" { print $6 "=" $7 }' jar
}

case $ACTION in
  supports) [ -x "$TIERGATE" ] && command -v curl openssl > /dev/null ;;
  version) "$TIERGATE" --version ;;
  run)
    mkdir -p policies audit state
    [ "$MTLS" = 0 ] || revoke
    configure "$AUTH_PORT"
    head -c 18 /dev/urandom | base64 | tr -d '\n' > password
    printf 'version: 1\nusers: {}\n' > users.yaml
    chmod 600 users.yaml
    "$TIERGATE" user add alice --email alice@example.test --group staff --password-stdin < password
    "$TIERGATE" serve --config tiergate.yaml &
    server=$!
    for _ in $(seq 100); do
      curl --silent --fail --output ready "http://127.0.0.1:$AUX_PORT/readyz" && break
      sleep 0.1
    done
    # A session that was ended is the nearest thing to an expired one that needs no waiting.
    sign_in > cookie.expired
    visit "https://app.test:$AUTH_PORT/.tiergate/logout" > page.html
    visit --data-urlencode "csrf=$(field csrf)" "https://app.test:$AUTH_PORT/.tiergate/logout" > page.html
    sign_in > cookie
    [ -s cookie ] && [ -s cookie.expired ]
    kill -TERM $server
    wait $server || true
    configure "$PORT"
    exec "$TIERGATE" serve --config tiergate.yaml ;;
esac
