//! `users.yaml`: from text to users, and back.
//!
//! ```yaml
//! version: 1
//! users:
//!   ann@corp.example:
//!     password: $argon2id$v=19$m=19456,t=2,p=1$…
//!     email: ann@corp.example
//!     name: Ann Example
//!     groups: [staff, finance]
//!     totp: GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ
//!     disabled: true
//! ```
//!
//! Invariant: no message shows a hash or a secret.

pub use super::password::{MAX_PASSWORD, generate_password, hash_password};

use super::claims;
use super::local::LocalUser;
use super::password::Hash;
use super::totp::TotpSecret;
use crate::diagnostic::{Diagnostic, Source};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_yaml::{Location, Spanned};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

/// Groups of one user.
const MAX_GROUPS: usize = 1000;
/// Users of one file.
const MAX_USERS: usize = 50_000;

/// The file as written.
mod raw {
    use super::Entries;
    use serde::Deserialize;
    use serde_yaml::Spanned;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct File {
        pub version: Spanned<u64>,
        #[serde(deserialize_with = "super::entries")]
        pub users: Entries,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct User {
        pub password: Spanned<String>,
        pub email: Option<Spanned<String>>,
        pub name: Option<Spanned<String>>,
        #[serde(default)]
        pub groups: Vec<Spanned<String>>,
        pub totp: Option<Spanned<String>>,
        #[serde(default)]
        pub disabled: bool,
    }
}

/// A mapping whose keys keep their places.
pub(super) struct Entries(Vec<(Spanned<String>, raw::User)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Users;
        impl<'de> Visitor<'de> for Users {
            type Value = Entries;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mapping from user names to users")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if entries.len() >= MAX_USERS {
                        return Err(serde::de::Error::custom("too many users in one file"));
                    }
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Users)
    }
}

/// `users:` with nothing below it is what is left when the last user is removed by hand.
fn entries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Entries, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(Entries(Vec::new())))
}

/// Parses the file.
pub(super) fn parse(source: &Source) -> Result<Vec<LocalUser>, Vec<Diagnostic>> {
    let file = read(source)?;
    let mut sink = Sink { source, mistakes: Vec::new() };
    let raw::File { version, users } = file;
    if version.value != 1 {
        sink.refuse(
            "I0103",
            version.referenced,
            "the users file has a version this tiergate does not know",
            "only `1`",
        );
    }
    let mut names = BTreeSet::new();
    let mut done = Vec::new();
    for (name, user) in users.0 {
        let user = resolve(&mut sink, &name, user);
        if !names.insert(name.value.to_ascii_lowercase()) {
            sink.refuse(
                "I0105",
                name.referenced,
                &format!("user `{}` is defined twice", shown(&name.value)),
                "case does not matter in user names",
            );
        }
        done.extend(user);
    }
    if sink.mistakes.is_empty() { Ok(done) } else { Err(sink.mistakes) }
}

/// The places of the user names, in the order of the file: for editing it.
pub(super) fn places(source: &Source) -> Result<Vec<(String, usize)>, Vec<Diagnostic>> {
    Ok(read(source)?
        .users
        .0
        .into_iter()
        .map(|(name, _)| (name.value.to_ascii_lowercase(), span(&source.text, name.referenced).start))
        .collect())
}

fn read(source: &Source) -> Result<raw::File, Vec<Diagnostic>> {
    // Snippets would show hashes and secrets; the diagnostic shows the one line that matters.
    let options = serde_yaml::options! { with_snippet: false };
    serde_yaml::from_str_with_options(&source.text, options).map_err(|error| {
        let place = error.location().map_or(0..0, |place| span(&source.text, place));
        let error = error.without_snippet();
        vec![Diagnostic::error("I0102", &source.path, place, tidy(&error.to_string()))]
    })
}

/// A user, or `None` with the mistakes noted.
fn resolve(sink: &mut Sink<'_>, name: &Spanned<String>, user: raw::User) -> Option<LocalUser> {
    let raw::User { password, email, name: display_name, groups, totp, disabled } = user;
    let before = sink.mistakes.len();
    let lower = name.value.to_ascii_lowercase();
    if let Err(why) = user_name(&lower) {
        sink.refuse("I0104", name.referenced, &format!("`{}` is not a user name", shown(&name.value)), why);
    }
    let hash = Hash::parse(&password.value)
        .map_err(|why| {
            sink.refuse("I0106", password.referenced, "the password hash is not accepted", &why);
        })
        .ok();
    if let Some(email) = &email
        && claims::email(&email.value).is_none()
    {
        sink.refuse(
            "I0107",
            email.referenced,
            &format!("`{}` is not an e-mail address", shown(&email.value)),
            "one `@`, printable ASCII",
        );
    }
    if let Some(name) = &display_name
        && claims::display_name(&name.value).is_none()
    {
        sink.refuse(
            "I0108",
            name.referenced,
            "the name cannot be shown",
            "1 to 256 characters, no control characters",
        );
    }
    if groups.len() > MAX_GROUPS {
        sink.refuse(
            "I0109",
            name.referenced,
            "the user has too many groups",
            &format!("at most {MAX_GROUPS}"),
        );
    }
    for group in &groups {
        if claims::group(&group.value).is_none() {
            sink.refuse(
                "I0109",
                group.referenced,
                "the group's name is not accepted",
                "1 to 256 bytes, no control characters",
            );
        }
    }
    let totp = totp.and_then(|secret| {
        TotpSecret::parse(&secret.value, &lower)
            .map_err(|why| {
                sink.refuse(
                    "I0110",
                    secret.referenced,
                    "the one-time password secret is not accepted",
                    &why.to_string(),
                );
            })
            .ok()
    });
    if sink.mistakes.len() > before {
        return None;
    }
    Some(LocalUser {
        name: lower,
        email: email.map(|email| email.value),
        display_name: display_name.map(|name| name.value),
        groups: groups.into_iter().map(|group| group.value).collect(),
        disabled,
        hash: hash?,
        totp,
    })
}

/// Whether a lower-cased text can be a user's name.
pub(super) fn user_name(name: &str) -> Result<(), &'static str> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "._@+-".contains(letter);
    match name {
        "" => Err("it is empty"),
        _ if name.len() > 128 => Err("at most 128 characters"),
        _ if !name.chars().all(fits) => Err("ASCII letters, digits and `.`, `_`, `@`, `+`, `-` only"),
        _ => Ok(()),
    }
}

/// A user to be written.
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    /// The name.
    pub name: String,
    /// The hash: see [`hash_password`].
    pub password: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// The name people call them by.
    pub display_name: Option<String>,
    /// The groups.
    pub groups: Vec<String>,
    /// The TOTP secret, base32.
    pub totp: Option<String>,
    /// May not sign in.
    pub disabled: bool,
}

/// The whole file.
#[must_use]
pub fn render(users: &[NewUser]) -> String {
    let mut text = String::from(HEADER);
    if users.is_empty() {
        text.push_str("users: {}\n");
        return text;
    }
    text.push_str("users:\n");
    for user in users {
        text.push_str(&render_one(user));
    }
    text
}

const HEADER: &str = "# Local users of tiergate. Edit with `tiergate user add|passwd|totp`.\nversion: 1\n";

/// One user's lines.
pub(super) fn render_one(user: &NewUser) -> String {
    let NewUser { name, password, email, display_name, groups, totp, disabled } = user;
    let mut text = format!("  {}:\n    password: {}\n", quoted(name), quoted(password));
    let mut line = |key: &str, value: &Option<String>| {
        if let Some(value) = value {
            // Writing to a string does not fail.
            let _ = writeln!(text, "    {key}: {}", quoted(value));
        }
    };
    line("email", email);
    line("name", display_name);
    line("totp", totp);
    if !groups.is_empty() {
        let groups: Vec<String> = groups.iter().map(|group| quoted(group)).collect();
        let _ = writeln!(text, "    groups: [{}]", groups.join(", "));
    }
    if *disabled {
        text.push_str("    disabled: true\n");
    }
    text
}

/// A YAML scalar: a JSON string is one, whatever it contains.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct Sink<'s> {
    source: &'s Source,
    mistakes: Vec<Diagnostic>,
}

impl Sink<'_> {
    fn refuse(&mut self, code: &'static str, place: Location, message: &str, label: &str) {
        let place = span(&self.source.text, place);
        self.mistakes.push(Diagnostic::error(code, &self.source.path, place, message).label(label));
    }
}

/// The bytes of a place, never outside of the text nor inside of a character.
fn span(text: &str, place: Location) -> Range<usize> {
    let place = place.span();
    let start = place.byte_offset().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    let length = place.byte_len().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let start = text.floor_char_boundary(start);
    start..text.ceil_char_boundary(start.saturating_add(length)).max(start)
}

/// Input in a message: bounded, and nothing a terminal would act on.
fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

/// A library's message in the house's form.
fn tidy(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    // The place is told apart from the message.
    let line = line.split_once(" at line ").map_or(line, |(before, _)| before).trim_end_matches('.');
    let mut letters = line.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyMTI";

    fn source(text: &str) -> Source {
        Source { path: "users.yaml".into(), text: text.replace("HASH", HASH) }
    }

    fn check(text: &str) -> String {
        let source = source(text);
        match parse(&source) {
            Ok(users) => users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>().join(" "),
            Err(mistakes) => {
                assert!(mistakes.iter().all(|mistake| !mistake.message.contains("argon2id$")));
                let told = mistakes.iter().map(|mistake| {
                    format!("{} {:?}", mistake.code, source.text.get(mistake.span.clone()).unwrap())
                });
                told.collect::<Vec<_>>().join(", ")
            }
        }
    }

    #[test]
    fn a_file_is_users_or_every_mistake_with_its_place() {
        for (text, want) in [
            (
                "version: 1\nusers:\n  Ann@x: { password: 'HASH' }\n  bob: { password: 'HASH', groups: [a, b], disabled: true }\n",
                "ann@x bob",
            ),
            ("version: 1\nusers: {}\n", ""),
            ("version: 1\nusers:\n", ""),
            ("version: 2\nusers: {}\n", "I0103 \"2\""),
            (
                "version: 1\nusers:\n  ann: { password: hunter2 }\n  'a b': { password: 'HASH' }\n",
                "I0106 \"hunter2\", I0104 \"'a b'\"",
            ),
            (
                "version: 1\nusers:\n  ann: { password: 'HASH' }\n  ANN: { password: 'HASH' }\n",
                "I0105 \"ANN\"",
            ),
            ("version: 1\nusers:\n  ann: { password: 'HASH', email: a@b@c }\n", "I0107 \"a@b@c\""),
            ("version: 1\nusers:\n  ann: { password: 'HASH', totp: AAAA }\n", "I0110 \"AAAA\""),
            ("version: 1\nusers:\n  ann: { password: 'HASH', groups: [a, ''] }\n", "I0109 \"''\""),
        ] {
            assert_eq!(check(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_not_the_format_is_refused_with_a_place() {
        for (text, want) in [
            ("version: 1\nusers:\n  ann: { password: 'HASH', admin: true }\n", "admin"),
            ("version: 1\nusers:\n  ann: { password: 'HASH', disabled: yes please }\n", "boolean"),
            ("version: 1\nusers:\n  ann: { email: a@b.c }\n", "password"),
            ("version: 1\nusers:\n  ann: { password: 'HASH' }\n  ann: { password: 'HASH' }\n", "duplicate"),
            ("version: 1\nuser: {}\n", "user"),
            ("users: {}\n", "version"),
            ("version: 1\nusers: [ann]\n", "mapping"),
            ("", "unexpected end"),
            ("version: 1\nusers: {\n", ""),
        ] {
            let mistakes = parse(&source(text)).unwrap_err();
            assert_eq!(mistakes[0].code, "I0102", "{text}");
            assert!(mistakes[0].message.contains(want), "{want}: {}", mistakes[0].message);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}", tail in "[ \\[{:\\-'\"a\u{e9}\n]{0,40}") {
            let _ = parse(&source(&text));
            let _ = parse(&source(&format!("version: 1\nusers:\n  ann: {tail}")));
        }

        #[test]
        fn what_is_rendered_reads_back(name in "[a-z0-9._@+-]{1,20}", display in "[^\\p{C}]{1,20}", groups in proptest::collection::vec("[^\\p{C}]{1,10}", 0..4), disabled: bool) {
            prop_assume!(!display.trim().is_empty() && groups.iter().all(|group| !group.trim().is_empty()));
            let user = NewUser { name: name.clone(), password: HASH.to_owned(), email: None, display_name: Some(display.clone()), groups: groups.clone(), totp: None, disabled };
            let users = parse(&source(&render(&[user]))).unwrap();
            prop_assert_eq!(&users[0].name, &name);
            prop_assert_eq!(users[0].display_name.as_deref(), Some(display.as_str()));
            prop_assert_eq!(&users[0].groups, &groups);
            prop_assert_eq!(users[0].disabled, disabled);
        }
    }
}
