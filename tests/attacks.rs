//! What must not get in, as tables: the bytes of an attack, what the client is told, what reaches the
//! upstream, and the reason in the audit log. Each row has the id of the attack it is about.

mod support;

mod attacks {
    mod answers;
    mod certificate_leaves;
    mod certificate_paths;
    mod certificate_table;
    mod certificates;
    mod cookies;
    mod flood;
    mod framing;
    mod framing_bodies;
    mod hosts;
    mod http2;
    mod http2_framing;
    mod identity;
    mod identity_passing;
    mod limits;
    mod paths;
    mod scene;
    mod slow;
    mod tls;
    mod upgrade;
}
