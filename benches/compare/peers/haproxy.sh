# haproxy: a proxy, or with ACT=asked (set by nginx.sh) one that only says on AUTH_PORT what is let in.
. "$BENCH_LIB"
: "${ACT:=proxy}"

# Signature, end and issuer of the session, then the tier.
decision() { # the condition under which the device is a managed one
  cat <<C
  http-request set-var(txn.session) req.cook(session)
  http-request deny status 401 unless { var(txn.session),jwt_header_query('\$.alg') -m str ES256 }
  http-request deny status 401 unless { var(txn.session),jwt_verify("ES256","$PKI/session.pub.pem") 1 }
  http-request deny status 401 unless { var(txn.session),jwt_payload_query('\$.iss') -m str https://idp.test }
  http-request set-var(txn.end) var(txn.session),jwt_payload_query('\$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny status 401 if { var(txn.end),sub(txn.now) -m int le 0 }
  http-request deny status 403 unless { $1 }
  http-request set-var(txn.user) var(txn.session),jwt_payload_query('\$.sub')
C
}

frontend() {
  if [ "$ACT" = asked ]; then
    echo "  bind 127.0.0.1:$AUTH_PORT backlog 4096"
    decision "req.fhdr(x-device-dn) -m sub OU=tier-managed"
    echo '  http-request return status 200 hdr X-User "%[var(txn.user)]"'
    return
  fi
  local alpn=http/1.1 client=""
  [ "$H2" = 0 ] || alpn=h2,http/1.1
  [ "$MTLS" = 0 ] || client="verify required ca-file $PKI/device-ca.pem crl-file $PKI/device-ca.crl"
  cat "$PKI/server.pem" "$PKI/server.key" > server.both.pem
  echo "  bind 127.0.0.1:$PORT ssl crt $RUN/server.both.pem ssl-min-ver TLSv1.2 alpn $alpn backlog 4096 $client"
  if [ "$MTLS" = 1 ]; then echo "  http-request set-header X-Device-DN %[ssl_c_s_dn]"; fi
  if [ "$DECIDE" = 1 ]; then
    decision "ssl_c_s_dn(OU) -m str tier-managed"
    echo "  http-request set-header X-User %[var(txn.user)]"
  fi
  echo "  default_backend app"
}

case $ACTION in
  supports) command -v haproxy > /dev/null ;;
  version) haproxy -v | sed -n '1s/^HAProxy version \([^ ]*\).*/haproxy \1/p' ;;
  run)
    {
      cat <<C
global
  nbthread 1
  maxconn 8000
defaults
  mode http
  no log
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 600s
  http-reuse always
frontend edge
C
      frontend
      if [ "$ACT" = proxy ]; then printf 'backend app\n  server app 127.0.0.1:%s pool-max-conn 256\n' "$UPSTREAM_PORT"; fi
    } > haproxy.cfg
    exec haproxy -db -f haproxy.cfg ;;
esac
