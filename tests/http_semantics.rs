//! What passes, passes as HTTP means it: streams, upgrades, trailers, origins, limits and failures.

mod support;

mod http_semantics {
    mod failures;
    mod messages;
    mod misdirected;
    mod origins;
    mod streams;
    mod told;
    mod transfers;
    mod upstream_tls;
}
