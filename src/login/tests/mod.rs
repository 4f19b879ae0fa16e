//! The pages as a browser meets them: a cookie jar, redirects, forms, and a gateway in small.

mod dance;
mod idp;
mod oidc;
mod sign_out;
mod theft;
mod world;
