//! Why somebody does something, in their own words.

use std::str::FromStr;

/// The most characters of it.
const MOST: usize = 500;

/// Why somebody does something, for the audit log.
///
/// INVARIANT: not blank and at most `MOST` characters; only [`Comment::from_str`] makes one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Comment(String);

/// Why a text is no comment.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("write 1 to {MOST} characters")]
pub struct CommentError;

impl FromStr for Comment {
    type Err = CommentError;

    /// Takes a text, without the blanks around it.
    fn from_str(text: &str) -> Result<Self, CommentError> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > MOST {
            return Err(CommentError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Comment {
    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
