//! What else a resource says: the services it admits, how much of anybody, and other origins.

use super::names::shorten;
use super::resolve::Resolver;
use super::rules::COMPARED;
use super::{Cors, Methods, RateLimit, RateLimitBy, ServiceEntry, ServiceId, raw};
use crate::diagnostic::{Diagnostic, Severity};
use crate::text::yaml::{At, Key, OneOrMany};
use crate::text::{host, prefix};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::Range;

/// Whether `broad` admits whatever `narrow` does, both of the same service.
fn covers(broad: &ServiceEntry, narrow: &ServiceEntry) -> bool {
    fn all<T>(broad: Option<&[T]>, narrow: Option<&[T]>, within: impl Fn(&T, &T) -> bool) -> bool {
        match (broad, narrow) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(broad), Some(narrow)) => {
                broad.len() <= COMPARED
                    && narrow.len() <= COMPARED
                    && narrow.iter().all(|narrow| broad.iter().any(|broad| within(broad, narrow)))
            }
        }
    }
    let (broad_methods, narrow_methods) = (broad.methods.as_ref(), narrow.methods.as_ref());
    all(broad_methods.map(Methods::as_slice), narrow_methods.map(Methods::as_slice), |broad, narrow| {
        broad == narrow
    }) && all(broad.paths.as_deref(), narrow.paths.as_deref(), |broad, narrow| prefix::covers(broad, narrow))
}

impl Resolver<'_> {
    /// The workloads that a resource admits.
    pub fn service_entries(
        &mut self,
        file: usize,
        key: Key<Vec<At<raw::ServiceEntry>>>,
    ) -> Vec<ServiceEntry> {
        let list = self.list(file, key, "services").unwrap_or_default();
        let mut entries = Vec::with_capacity(list.len());
        for entry in list {
            let At { value: raw::ServiceEntry { name, methods, paths }, span } = entry;
            let service = self.needed(file, name, "name", &span).and_then(|name| {
                let place = self.place(file, name.span.clone());
                self.services.find(&name, place, self.complete, &mut self.findings)
            });
            let methods = self.methods(file, methods, false);
            let paths = self.list(file, paths, "paths");
            for prefix in paths.iter().flatten() {
                self.prefix(file, prefix);
            }
            let paths = paths.map(|paths| paths.into_iter().map(|path| path.value).collect());
            if let Some(service) = service {
                let service = ServiceId(service);
                let entry = ServiceEntry { service, methods, paths, origin: self.origin(file, &span) };
                entries.push(At { value: entry, span });
            }
        }
        self.covered_entries(file, &entries);
        entries.into_iter().map(|entry| entry.value).collect()
    }

    /// Warns of each entry that another one makes needless; of two that say the same, of the later one.
    fn covered_entries(&mut self, file: usize, entries: &[At<ServiceEntry>]) {
        let mut of_service: HashMap<ServiceId, Vec<usize>> = HashMap::new();
        for (at, entry) in entries.iter().enumerate() {
            of_service.entry(entry.value.service).or_default().push(at);
        }
        for (at, entry) in entries.iter().enumerate() {
            let others = of_service.get(&entry.value.service).into_iter().flatten().take(COMPARED);
            let by = others.filter(|other| **other != at).find_map(|other| {
                let by = entries.get(*other)?;
                let needless =
                    covers(&by.value, &entry.value) && (*other < at || !covers(&entry.value, &by.value));
                needless.then_some(by)
            });
            if let Some(by) = by {
                let place = self.place(file, entry.span.clone());
                let finding = Diagnostic::new(
                    Severity::Warning,
                    "P0211",
                    &place.path,
                    place.span,
                    "this entry adds nothing",
                )
                .label("another entry admits the service to all of it")
                .also(&place.path, by.span.clone(), "the other entry")
                .about(self.current.as_deref());
                self.findings.push(finding);
            }
        }
    }

    /// The limits of a resource: one or several.
    pub fn rate_limits(&mut self, file: usize, key: Key<OneOrMany<At<raw::RateLimit>>>) -> Vec<RateLimit> {
        let Some(key) = key.0 else { return Vec::new() };
        let list = At { span: key.span.clone(), value: key.places() };
        let list = self.list(file, Key(Some(list)), "rate_limit").unwrap_or_default();
        list.into_iter().filter_map(|limit| self.rate_limit(file, limit)).collect()
    }

    fn rate_limit(&mut self, file: usize, limit: At<raw::RateLimit>) -> Option<RateLimit> {
        let At { value: raw::RateLimit { per, requests, window, burst }, span } = limit;
        let per = self.needed(file, per, "per", &span).and_then(|per| {
            let words = [
                ("user", RateLimitBy::User),
                ("device", RateLimitBy::Device),
                ("address", RateLimitBy::Address),
            ];
            self.word(file, &per, "value for `per`", &words)
        });
        let requests = self.needed(file, requests, "requests", &span).and_then(|n| self.count(file, &n));
        let window = self.needed(file, window, "window", &span);
        let window = self.duration(file, Key(window));
        let burst = match burst.0 {
            Some(burst) => self.count(file, &burst),
            None => requests,
        };
        Some(RateLimit { per: per?, requests: requests?, window: window?, burst: burst? })
    }

    fn count(&mut self, file: usize, number: &At<u64>) -> Option<NonZeroU32> {
        const MOST: u64 = 1_000_000_000;
        let count = Some(number.value)
            .filter(|n| *n <= MOST)
            .and_then(|n| u32::try_from(n).ok())
            .and_then(NonZeroU32::new);
        if count.is_none() {
            let message = format!("`{}` is out of range", number.value);
            let label = "from 1 to 1000000000; to refuse everybody, use `deny`";
            self.error(file, "P0114", number.span.clone(), message, label);
        }
        count
    }

    /// How requests from other origins are answered.
    pub fn cors(&mut self, file: usize, cors: At<raw::Cors>) -> Option<Cors> {
        let At { value: raw::Cors { origins, methods, headers, credentials, max_age }, span } = cors;
        let origins = self.needed(file, origins, "origins", &span);
        let origins = self.list(file, Key(origins), "origins")?;
        for origin in &origins {
            self.cors_origin(file, origin);
        }
        let methods = self.needed(file, methods, "methods", &span);
        let methods = self.methods(file, Key(methods), false).unwrap_or(Methods(Vec::new()));
        let headers = self.list(file, headers, "headers").unwrap_or_default();
        for header in &headers {
            self.cors_header(file, header);
        }
        Some(Cors {
            origins: origins.into_iter().map(|origin| origin.value).collect(),
            methods,
            headers: headers.into_iter().map(|header| header.value).collect(),
            credentials: credentials.0.is_some_and(|credentials| credentials.value),
            max_age: self.seconds(file, max_age),
        })
    }

    fn cors_error(&mut self, file: usize, span: Range<usize>, message: String, label: &str) {
        self.error(file, "P0113", span, message, label);
    }

    /// A serialised origin over TLS: what a page on plain http asks, anybody on its way can ask.
    fn cors_origin(&mut self, file: usize, origin: &At<String>) {
        let label = match origin.value.as_str() {
            "*" | "null" => "name each origin: this resource is for people who are signed in",
            text => match text.strip_prefix("https://") {
                None => "write `https://` and a host, such as `https://board.corp.example`",
                Some(rest) => {
                    let (name, port) =
                        rest.split_once(':').map_or((rest, None), |(name, port)| (name, Some(port)));
                    let port_fits = port.is_none_or(|port| {
                        port.parse::<u16>().is_ok_and(|n| n != 0 && n != 443 && n.to_string() == port)
                    });
                    if host::check(name).is_ok() && port_fits {
                        return;
                    }
                    "an origin is `https://host` or `https://host:port`, lower case, without path and without `:443`"
                }
            },
        };
        let message = format!("`{}` is not an origin", shorten(&origin.value));
        self.cors_error(file, origin.span.clone(), message, label);
    }

    fn cors_header(&mut self, file: usize, header: &At<String>) {
        let token =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        if header.value.is_empty() || header.value.len() > 128 || !header.value.bytes().all(token) {
            let message = format!("`{}` is not the name of a header", shorten(&header.value));
            self.cors_error(file, header.span.clone(), message, "write each header's name in lower case");
        }
    }
}
