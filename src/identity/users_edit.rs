//! Changing `users.yaml` as a person would: one user's lines, and nothing else in it.
//!
//! Invariants: the new text is parsed before it is written, and every other user in it is as before;
//! the file is replaced whole (a rename), is 0600 and keeps its owner; two edits never interleave.

use super::password::Hash;
use super::totp::TotpSecret;
use super::users_file::{NewUser, parse, places, render, render_one};
use crate::diagnostic::{Diagnostic, Source};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Why a users file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file, as it is, has mistakes.
    #[error("the users file has mistakes")]
    Invalid(Vec<Diagnostic>),
    /// The change would make a file with mistakes.
    #[error("the change is not accepted")]
    Refused(Vec<Diagnostic>),
    /// A file could not be read or written.
    #[error("cannot {doing} `{path}`")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// The file's text with `user` in it: in place of the user of that name, or at the end.
///
/// # Errors
///
/// When the file has mistakes, or would have with that user.
pub fn with_user(source: &Source, user: &NewUser) -> Result<Source, EditError> {
    let mut all = describe(source)?;
    let name = user.name.to_ascii_lowercase();
    let text = spliced(source, &name, &render_one(user)).map_err(EditError::Invalid)?;
    match all.iter_mut().find(|known| known.name == name) {
        Some(known) => *known = user.clone(),
        None => all.push(user.clone()),
    }
    let edited = Source { path: source.path.clone(), text };
    // Whatever style the file was written in, what counts is that it now says what was meant.
    if describe(&edited).is_ok_and(|now| rendered(&now) == rendered(&all)) {
        return Ok(edited);
    }
    let whole = Source { path: source.path.clone(), text: render(&all) };
    parse(&whole).map(|_| ()).map_err(EditError::Refused)?;
    Ok(whole)
}

/// The users as they are in the file, hashes and secrets included.
///
/// # Errors
///
/// When the file has mistakes.
pub fn describe(source: &Source) -> Result<Vec<NewUser>, EditError> {
    let users = parse(source).map_err(EditError::Invalid)?;
    Ok(users
        .into_iter()
        .map(|user| NewUser {
            password: Hash::text(&user.hash),
            totp: user.totp.as_ref().map(TotpSecret::base32),
            name: user.name,
            email: user.email,
            display_name: user.display_name,
            groups: user.groups,
            disabled: user.disabled,
        })
        .collect())
}

/// Order does not matter.
fn rendered(users: &[NewUser]) -> Vec<String> {
    let lower = |user: &NewUser| NewUser { name: user.name.to_ascii_lowercase(), ..user.clone() };
    let mut lines: Vec<String> = users.iter().map(|user| render_one(&lower(user))).collect();
    lines.sort_unstable();
    lines
}

fn spliced(source: &Source, name: &str, lines: &str) -> Result<String, Vec<Diagnostic>> {
    let places = places(source)?;
    let text = &source.text;
    let line_start =
        |at: usize| text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
    let Some(index) = places.iter().position(|(known, _)| known == name) else {
        let mut text = text.replace("\nusers: {}\n", "\nusers:\n");
        if !text.ends_with('\n') {
            text.push('\n');
        }
        return Ok(text + lines);
    };
    let start = places.get(index).map_or(0, |(_, at)| line_start(*at));
    let end = places.get(index + 1).map_or(text.len(), |(_, at)| line_start(*at));
    let (before, rest) = text.split_at_checked(start).unwrap_or((text, ""));
    let (old, after) = rest.split_at_checked(end.saturating_sub(start)).unwrap_or((rest, ""));
    // Comments and blank lines below a user belong to the next one.
    let kept: usize = old
        .split_inclusive('\n')
        .rev()
        .take_while(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        .map(str::len)
        .sum();
    let tail = old.len().checked_sub(kept).and_then(|at| old.get(at..)).unwrap_or_default();
    Ok(format!("{before}{lines}{tail}{after}"))
}

/// Replaces the file, if it still has the text that the change was made from; returns whether it had.
///
/// # Errors
///
/// When a file cannot be read or written.
pub fn replace(before: &Source, after: &Source) -> Result<bool, EditError> {
    let path = &after.path;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let fail = |doing: &'static str, path: &Path| {
        let path = path.display().to_string();
        move |source| EditError::Io { doing, path, source }
    };
    let lock = File::open(folder).map_err(fail("open", folder))?;
    lock.lock().map_err(fail("lock", folder))?;
    let owner = match std::fs::metadata(path) {
        Ok(now) => {
            if std::fs::read_to_string(path).map_err(fail("read", path))? != before.text {
                return Ok(false);
            }
            Some((now.uid(), now.gid()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(fail("read", path)(error)),
    };
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    let new = folder.join(name);
    // Left over from a crash: nobody else writes it, as the folder is locked.
    let _ = std::fs::remove_file(&new);
    let mut file =
        File::options().write(true).create_new(true).mode(0o600).open(&new).map_err(fail("create", &new))?;
    let written = (|| {
        file.write_all(after.text.as_bytes())?;
        if let Some((uid, gid)) = owner {
            let mine = file.metadata()?;
            if (mine.uid(), mine.gid()) != (uid, gid) {
                // An administrator edits, the service reads: the file stays the service's.
                std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
            }
        }
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        lock.sync_all()
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written.map(|()| true).map_err(fail("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const HASH: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyMTI";

    fn source(text: &str) -> Source {
        Source { path: "users.yaml".into(), text: text.replace("HASH", HASH) }
    }

    fn user(name: &str, group: &str) -> NewUser {
        NewUser {
            name: name.to_owned(),
            password: HASH.to_owned(),
            groups: vec![group.to_owned()],
            ..NewUser::default()
        }
    }

    #[test]
    fn only_the_lines_of_the_user_change() {
        let before = "# ours\nversion: 1\nusers:\n  ann: # first\n    password: HASH\n    groups: [a]\n\n  # the second\n  bob: { password: 'HASH' }\n  # end\n";
        for (name, want) in [
            (
                "ann",
                "# ours\nversion: 1\nusers:\n  \"ann\":\n    password: \"HASH\"\n    groups: [\"g\"]\n\n  # the second\n  bob: { password: 'HASH' }\n  # end\n",
            ),
            (
                "BOB",
                "# ours\nversion: 1\nusers:\n  ann: # first\n    password: HASH\n    groups: [a]\n\n  # the second\n  \"BOB\":\n    password: \"HASH\"\n    groups: [\"g\"]\n  # end\n",
            ),
            (
                "eve",
                "# ours\nversion: 1\nusers:\n  ann: # first\n    password: HASH\n    groups: [a]\n\n  # the second\n  bob: { password: 'HASH' }\n  # end\n  \"eve\":\n    password: \"HASH\"\n    groups: [\"g\"]\n",
            ),
        ] {
            let got = with_user(&source(before), &user(name, "g")).unwrap();
            assert_eq!(got.text, want.replace("HASH", HASH), "{name}");
        }
    }

    #[test]
    fn a_style_that_cannot_be_spliced_is_written_anew_with_everybody_in_it() {
        for before in [
            "version: 1\nusers: { ann: { password: 'HASH', groups: [a] }, bob: { password: 'HASH' } }\n",
            "users:\n    ann: { password: 'HASH', groups: [a] }\n    bob: { password: 'HASH' }\nversion: 1\n",
            "version: 1\nusers:\n    ann: { password: 'HASH', groups: [a] }\n    bob: { password: 'HASH' }\n",
        ] {
            let got = with_user(&source(before), &user("eve", "g")).unwrap();
            let all = describe(&got).unwrap();
            let names: Vec<String> =
                all.iter().map(|user| format!("{} {:?}", user.name, user.groups)).collect();
            assert_eq!(names, ["ann [\"a\"]", "bob []", "eve [\"g\"]"], "{before}");
        }
    }

    #[test]
    fn a_broken_file_or_user_is_not_written() {
        assert!(matches!(with_user(&source("version: 1\n"), &user("a", "g")), Err(EditError::Invalid(_))));
        let empty = source("version: 1\nusers: {}\n");
        assert!(matches!(with_user(&empty, &user("a b", "g")), Err(EditError::Refused(_))));
        assert!(matches!(with_user(&empty, &user("a", "")), Err(EditError::Refused(_))));
        assert!(with_user(&empty, &user("a", "g")).is_ok());
    }

    #[test]
    fn the_file_is_replaced_whole_for_its_owner_only_and_not_when_somebody_else_changed_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.yaml");
        let none = Source { path: path.clone(), text: String::new() };
        let first = Source { path: path.clone(), text: render(&[]) };
        assert!(replace(&none, &first).unwrap());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let second = with_user(&first, &user("ann", "g")).unwrap();
        assert!(replace(&first, &second).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), second.text);
        assert!(!replace(&first, &first).unwrap(), "it changed meanwhile");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), second.text);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
