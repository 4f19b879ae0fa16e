//! Watches the framing of a chunked request body as it passes.
//!
//! The framework reads chunks leniently: a line feed inside an extension, an empty size line and
//! junk behind the size pass. A body whose chunk lines are not plain RFC 9112 §7.1 ends the request.

/// The longest chunk-size line or trailer field, bytes.
const MAX_LINE: usize = 256;
/// Extensions and trailers of one body, bytes.
const MAX_EXTRA: usize = 4096;
/// The most hexadecimal digits of a chunk's size.
const MAX_SIZE_DIGITS: usize = 15;

/// The framing broke a rule; nothing after this byte can be trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the chunked body is not framed plainly")]
pub struct BrokenFraming;

/// Where in a chunked body the next byte is.
#[derive(Debug)]
pub struct Chunks {
    state: State,
    line: Vec<u8>,
    extra: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Size,
    Data(u64),
    DataEnd(u8),
    Trailer,
    Done,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { state: State::Size, line: Vec::new(), extra: 0 }
    }
}

impl Chunks {
    /// Whether the body has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Watches the next bytes. Those after the body's end are not looked at.
    ///
    /// # Errors
    /// [`BrokenFraming`] at the first byte that does not belong.
    pub fn watch(&mut self, mut bytes: &[u8]) -> Result<(), BrokenFraming> {
        while let Some((byte, rest)) = bytes.split_first() {
            match self.state {
                State::Done => return Ok(()),
                State::Data(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let left = left - here as u64;
                    self.state = if left == 0 { State::DataEnd(b'\r') } else { State::Data(left) };
                    bytes = bytes.get(here..).unwrap_or_default();
                }
                State::DataEnd(expected) => {
                    if *byte != expected {
                        return Err(BrokenFraming);
                    }
                    self.state = if expected == b'\r' { State::DataEnd(b'\n') } else { State::Size };
                    bytes = rest;
                }
                State::Size | State::Trailer => {
                    bytes = rest;
                    if *byte == b'\n' {
                        self.end_line()?;
                    } else if self.line.len() >= MAX_LINE || self.line.last() == Some(&b'\r') {
                        return Err(BrokenFraming);
                    } else {
                        self.line.push(*byte);
                    }
                }
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), BrokenFraming> {
        let line = self.line.strip_suffix(b"\r").ok_or(BrokenFraming)?;
        self.state = if matches!(self.state, State::Trailer) {
            self.extra += line.len();
            if line.is_empty() { State::Done } else { trailer(line)? }
        } else {
            let digits = line.iter().position(|b| *b == b';').unwrap_or(line.len());
            let (size, extension) = line.split_at_checked(digits).ok_or(BrokenFraming)?;
            self.extra += extension.len();
            match chunk_size(size).filter(|_| is_extension(extension)).ok_or(BrokenFraming)? {
                0 => State::Trailer,
                size => State::Data(size),
            }
        };
        self.line.clear();
        if self.extra > MAX_EXTRA { Err(BrokenFraming) } else { Ok(()) }
    }
}

fn trailer(line: &[u8]) -> Result<State, BrokenFraming> {
    let colon = line.iter().position(|b| *b == b':').ok_or(BrokenFraming)?;
    let name = line.get(..colon).unwrap_or_default();
    let fits = !name.is_empty()
        && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && line.iter().all(|b| *b >= 0x20 && *b != 0x7f || *b == b'\t');
    if fits { Ok(State::Trailer) } else { Err(BrokenFraming) }
}

fn chunk_size(digits: &[u8]) -> Option<u64> {
    let plain = (1..=MAX_SIZE_DIGITS).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    plain.then(|| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()).flatten()
}

/// Nothing, or `;token` and `;token=token` as often as wanted.
fn is_extension(bytes: &[u8]) -> bool {
    let token = |part: &[u8]| {
        !part.is_empty() && part.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let Some((_, bytes)) = bytes.split_first() else { return true };
    bytes.split(|b| *b == b';').all(|one| {
        let mut sides = one.splitn(2, |b| *b == b'=');
        sides.next().is_some_and(token) && sides.next().is_none_or(token)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(bytes: &[u8]) -> &'static str {
        let mut whole = Chunks::default();
        let verdict = whole.watch(bytes).map(|()| whole.is_done());
        let mut bytewise = Chunks::default();
        let singly = bytes.iter().try_for_each(|b| bytewise.watch(&[*b])).map(|()| bytewise.is_done());
        assert_eq!(verdict, singly, "split: {}", bytes.escape_ascii());
        match verdict {
            Ok(true) => "done",
            Ok(false) => "more",
            Err(BrokenFraming) => "broken",
        }
    }

    #[test]
    fn chunk_lines_are_plain_or_broken() {
        let long = [b"5;".to_vec(), vec![b'a'; 100_000], b"\r\nabcde\r\n0\r\n\r\n".to_vec()].concat();
        for (bytes, want) in [
            (&b"5\r\nabcde\r\n0\r\n\r\n"[..], "done"),
            (b"5\r\nabcde\r\n0\r\n\r\nGET /smug", "done"),
            (b"5;a=b;c\r\nabcde\r\n0\r\nX-A: b\r\n\r\n", "done"),
            (b"5\r\nabc", "more"),
            (b"0x5\r\nabcde\r\n", "broken"),
            (b"+5\r\n", "broken"),
            (b"-1\r\n", "broken"),
            (b"5_0\r\n", "broken"),
            (b" 5\r\n", "broken"),
            (b"5 \r\n", "broken"),
            (b"FFFFFFFFFFFFFFFFF\r\n", "broken"),
            (b"\r\n", "broken"),
            (b"5;\nabcde\r\n0\r\n\r\n", "broken"),
            (b"5;\r\n", "broken"),
            (b"5;[x]\r\n", "broken"),
            (b"5;\x00\r\n", "broken"),
            (b"5\r;a\r\n", "broken"),
            (b"5\nabcde", "broken"),
            (b"5\r\nabcdeXX0\r\n", "broken"),
            (b"0\r\n\n", "broken"),
            (&long, "broken"),
        ] {
            assert_eq!(check(bytes), want, "{}", bytes.get(..40).unwrap_or(bytes).escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_split_of_any_bytes_gives_one_verdict(bytes in "[0-9a-f;=\r\n:A]{0,60}") {
            check(bytes.as_bytes());
        }
    }
}
