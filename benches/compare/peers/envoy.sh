# Envoy. ENVOY is the binary; JWT_CACHE=1 (set by the adapter beside this) keeps sessions that were verified.
. "$BENCH_LIB"
: "${ENVOY:=envoy}" "${JWT_CACHE:=0}"

types=type.googleapis.com/envoy.extensions

# The filters that decide, before the one that forwards.
decision() {
  [ "$DECIDE" = 1 ] || return 0
  local cache=""
  [ "$JWT_CACHE" = 0 ] || cache="jwt_cache_config: { jwt_cache_size: 1000 }"
  cat <<C
          - name: session
            typed_config:
              "@type": $types.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                idp:
                  issuer: https://idp.test
                  local_jwks: { filename: $PKI/session.jwks }
                  from_cookies: [session]
                  forward: true
                  claim_to_headers: [{ header_name: x-user, claim_name: sub }]
                  $cache
              rules: [{ match: { prefix: / }, requires: { provider_name: idp } }]
          - name: device
            typed_config:
              "@type": $types.filters.http.rbac.v3.RBAC
              rules:
                action: ALLOW
                policies:
                  managed:
                    permissions: [{ any: true }]
                    principals: [{ authenticated: { principal_name: { contains: OU=tier-managed } } }]
C
}

case $ACTION in
  supports) command -v "$ENVOY" > /dev/null ;;
  version) "$ENVOY" --version | sed -n 's,.*version: [0-9a-f]*/\([^/]*\)/.*,envoy \1,p' ;;
  run)
    alpn=http/1.1 codec=HTTP1 device="" client="" require=false
    [ "$H2" = 0 ] || { alpn=h2,http/1.1 codec=AUTO; }
    if [ "$MTLS" = 1 ]; then
      require=true
      client="validation_context: { trusted_ca: { filename: $PKI/device-ca.pem }, crl: { filename: $PKI/device-ca.crl } }"
      device="request_headers_to_add: [{ header: { key: x-device-dn, value: \"%DOWNSTREAM_PEER_SUBJECT%\" }, append_action: OVERWRITE_IF_EXISTS_OR_ADD }]"
    fi
    cat > envoy.yaml <<C
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: $PORT } }
    tcp_backlog_size: 4096
    filter_chains:
    - transport_socket:
        name: tls
        typed_config:
          "@type": $types.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: $require
          common_tls_context:
            alpn_protocols: [$alpn]
            tls_params: { tls_minimum_protocol_version: TLSv1_2, tls_maximum_protocol_version: TLSv1_3 }
            tls_certificates: [{ certificate_chain: { filename: $PKI/server.pem }, private_key: { filename: $PKI/server.key } }]
            $client
      filters:
      - name: http
        typed_config:
          "@type": $types.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: edge
          codec_type: $codec
          generate_request_id: false
          use_remote_address: true
          common_http_protocol_options: { idle_timeout: 600s }
          route_config:
            virtual_hosts:
            - name: app
              domains: ["*"]
              $device
              routes: [{ match: { prefix: / }, route: { cluster: app, timeout: 0s } }]
          http_filters:
$(decision)
          - name: forward
            typed_config: { "@type": $types.filters.http.router.v3.Router, suppress_envoy_headers: true, dynamic_stats: false }
  clusters:
  - name: app
    type: STATIC
    connect_timeout: 5s
    circuit_breakers: { thresholds: [{ max_connections: 16384, max_pending_requests: 16384, max_requests: 16384 }] }
    load_assignment:
      cluster_name: app
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: $UPSTREAM_PORT } } } }] }]
C
    exec "$ENVOY" --config-path envoy.yaml --concurrency 1 --log-level error --use-dynamic-base-id ;;
esac
