# Sourced by every adapter, which is called as   ADAPTER supports | version | run.
#   supports  exits with 0 where the proxy is here and can do what is asked
#   version   prints one line
#   run       writes a configuration into the working folder and becomes the proxy, in the foreground
# All are told what is asked, as 0 or 1: MTLS (a device certificate from PKI/device-ca.pem that is not on
# PKI/device-ca.crl is required, and the upstream gets X-Device-DN), DECIDE (a good session too, and a device whose
# OU is tier-managed; the upstream gets X-User), H2 (HTTP/2 is offered), IDLE (connections only wait).
# `run` is told where: PORT (TLS, with PKI/server.pem and PKI/server.key), AUX_PORT and AUTH_PORT (to use
# as it likes), UPSTREAM_PORT (plain HTTP), RUN (a folder of its own, where it is), all on 127.0.0.1.
# A session is the cookie `session`: a JWT of https://idp.test for `alice`, ES256, signed with the key whose public
# half is PKI/session.pub.pem and PKI/session.jwks. A proxy with sign-in leaves its own in RUN/cookie, and one that
# is over in RUN/cookie.expired. One thread, no access log, connections to the upstream are kept.
set -euo pipefail
ACTION=${1:?supports, version or run}
PATH=$PATH:/usr/sbin
